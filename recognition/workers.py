"""The processes that train one model together, as torchrun starts them; one alone without it."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import distributed

from recognition.model import Batch, Targets


@dataclass(frozen=True)
class Workers:
    """This process among `n`."""

    rank: int = 0
    n: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @classmethod
    def join(cls) -> "Workers":
        """Find the others: on GPUs over NCCL, else over gloo."""
        rank, n = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        on_gpu = torch.cuda.is_available()
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if on_gpu else torch.device("cpu")
        if on_gpu:
            torch.cuda.set_device(device)
        if n > 1:
            distributed.init_process_group("nccl" if on_gpu else "gloo")
        return cls(rank, n, device)

    @property
    def first(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def share(self, at: Sequence[int]) -> list[int]:
        """This process's part of a batch; all parts are of one size, so that the mean of means is the mean."""
        size = len(at) // self.n
        return list(at[self.rank * size : (self.rank + 1) * size])

    def moved(self, batch: Batch) -> Batch:
        """A batch on this process's device."""
        targets = Targets(*(t.to(self.device, non_blocking=True) for t in batch.targets))
        photos, places = (x.to(self.device, non_blocking=True) for x in (batch.photos, batch.places))
        return Batch(photos, places, targets)

    def learned_from(self, shares: Sequence[list[int]], make: Callable[[list[int]], Batch]) -> Iterator[Batch]:
        """The batch of each share, on this process's device; beside a GPU the next is made while one is learned from."""
        on_cpu = self.device.type == "cpu"  # which has no hand free
        for batch in map(make, shares) if on_cpu else one_ahead(make, shares):
            yield self.moved(batch)

    def mean(self, value: float) -> float:
        """The mean of a number over all processes."""
        if self.n == 1:
            return value
        total = torch.tensor(value, device=self.device, dtype=torch.float64)
        distributed.all_reduce(total)
        return float(total) / self.n

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """Let the first process go before the others, who then find in the cache what it left there."""
        if not self.first:
            self.wait()
        yield
        if self.first:
            self.wait()

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.n > 1:
            distributed.barrier()

    def leave(self) -> None:
        """Close the connections."""
        if self.n > 1:
            distributed.destroy_process_group()


def one_ahead(make: Callable[[list[int]], Batch], shares: Sequence[list[int]]) -> Iterator[Batch]:
    """As `map`, with the next result in the making while one is used."""
    with ThreadPoolExecutor(1) as hand:
        coming = [hand.submit(make, share) for share in shares[:1]]
        for i in range(len(shares)):
            made = coming.pop().result()
            coming = [hand.submit(make, share) for share in shares[i + 1 : i + 2]]
            yield made
