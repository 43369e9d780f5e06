"""The processes that train one model, and what they learn from."""

import threading
from collections.abc import Sequence

import pytest
import torch

from recognition.model import Batch, Targets
from recognition.workers import Workers, one_ahead


def numbered(share: Sequence[int]) -> Batch:
    """A batch that can be told by its photos."""
    return Batch(torch.tensor(share), torch.zeros(1), Targets(*(torch.zeros(1) for _ in Targets._fields)))


def told(batches: Sequence[Batch]) -> list[list[int]]:
    return [batch.photos.tolist() for batch in batches]


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_batches_made_ahead_come_in_order_and_all(n: int) -> None:
    shares = [[i, i + 1] for i in range(n)]
    assert told(list(one_ahead(numbered, shares))) == shares
    assert told(list(Workers().learned_from(shares, numbered))) == shares


def test_only_one_batch_is_in_the_making_while_one_is_used() -> None:
    begun: list[int] = []
    second = threading.Event()

    def make(share: list[int]) -> Batch:
        begun.extend(share)
        if share == [1]:
            second.set()
        return numbered(share)

    batches = one_ahead(make, [[0], [1], [2], [3]])
    next(batches)
    assert second.wait(10)
    assert begun == [0, 1]
    batches.close()  # type: ignore[attr-defined]


def test_a_batch_that_cannot_be_made_stops_the_epoch() -> None:
    def make(share: list[int]) -> Batch:
        if share == [1]:
            raise OSError("no such photo")
        return numbered(share)

    batches = one_ahead(make, [[0], [1], [2]])
    assert told([next(batches)]) == [[0]]
    with pytest.raises(OSError, match="no such photo"):
        next(batches)


def test_every_process_takes_a_part_of_equal_size() -> None:
    parts = [Workers(rank, 3).share(range(10)) for rank in range(3)]
    assert parts == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
