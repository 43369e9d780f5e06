"""Requests that come at the same time share one run of a network, which is cheaper a photo than one after the other.

Shapes in this module:
    B  photos of one run      n  photos of one request
"""

from collections import deque
from threading import Condition
from typing import Any

import numpy as np
import numpy.typing as npt

from recognition.runtime import Arrays, Network

LARGEST = 16  # photos of one run; larger batches are not faster (docs/models.md)


class _Job:
    def __init__(self, inputs: Arrays) -> None:
        self.inputs = inputs
        self.n = len(next(iter(inputs.values())))
        self.answer: list[npt.NDArray[Any]] | None = None
        self.wrong: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.answer is not None or self.wrong is not None


class SharedBatches:
    """A network that runs what has gathered while its last run was under way.

    Nobody waits for company: a request that finds the network idle runs at once. Whoever waits and finds it idle runs
    for all who wait.
    """

    def __init__(self, network: Network, largest: int = LARGEST) -> None:
        self._network, self._largest = network, largest
        self._waiting: deque[_Job] = deque()
        self._changed = Condition()
        self._running = False

    def run(self, inputs: Arrays) -> list[npt.NDArray[Any]]:
        """Answer one request, each input (n, ...).  Returns the outputs, each (n, ...). Raises what the network raises."""
        job = _Job(inputs)
        with self._changed:
            self._waiting.append(job)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: job.done or not self._running)
                if job.done:
                    break
                together = self._taken()
                self._running = True
            try:
                self._run(together)
            finally:
                with self._changed:
                    self._running = False
                    self._changed.notify_all()
        if job.wrong is not None:
            raise job.wrong
        assert job.answer is not None
        return job.answer

    def _taken(self) -> list[_Job]:
        """The next jobs in order, at least one, at most as many photos as fit."""
        taken = [self._waiting.popleft()]
        while self._waiting and self._fits(self._waiting[0], taken):
            taken.append(self._waiting.popleft())
        return taken

    def _fits(self, job: _Job, taken: list[_Job]) -> bool:
        """Whether a job may join: there is room, and its photos have the same size."""
        alike = all(value.shape[1:] == taken[0].inputs[name].shape[1:] for name, value in job.inputs.items())
        return alike and sum(one.n for one in taken) + job.n <= self._largest

    def _run(self, jobs: list[_Job]) -> None:
        try:
            joined = {name: np.concatenate([job.inputs[name] for job in jobs]) for name in jobs[0].inputs}
            outputs = self._network.run(joined)
        except Exception as wrong:  # noqa: BLE001  everyone of the batch must hear of it, whatever it is
            for job in jobs:
                job.wrong = wrong
            return
        start = 0
        for job in jobs:
            job.answer = [out[start : start + job.n] for out in outputs]
            start += job.n
