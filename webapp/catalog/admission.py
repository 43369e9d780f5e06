"""How many photos one process takes in at a time: further ones are told when to come again, instead of waiting unseen."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

START_S = 0.1  # expected for a photo until one has been measured
INERTIA = 0.8  # of the old expectation after each photo


class Busy(RuntimeError):
    """Too many photos at once. wait: seconds after which to try again."""

    def __init__(self, wait: int) -> None:
        self.wait = wait
        super().__init__(f"many photos are being looked at just now; try again in {wait} s")


class Admission:
    """A place for each of at most `places` photos."""

    def __init__(self, places: int) -> None:
        self._places, self._taken, self._lock = places, 0, Lock()
        self._seconds = START_S  # that one more photo takes, smoothed

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Hold a place. Raises Busy when all are taken."""
        with self._lock:
            if self._taken >= self._places:
                raise Busy(max(1, math.ceil(self._taken * self._seconds)))
            self._taken += 1
            company = self._taken
        started = time.monotonic()
        try:
            yield
        finally:
            took = (time.monotonic() - started) / company  # those who share the processor make each other slower
            with self._lock:
                self._taken -= 1
                self._seconds = INERTIA * self._seconds + (1 - INERTIA) * took
