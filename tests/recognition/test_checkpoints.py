"""What a run leaves on the disk."""

import resource
import signal
from pathlib import Path

import pytest
import torch

from recognition.cards import Card, read_card, write_card
from recognition.checkpoints import NotSaved, load_checkpoint, save_checkpoint, save_weights


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    """The limit on a file's size stands for the full disk: both end a write in the middle."""
    file = tmp_path / "checkpoint.pt"
    save_checkpoint(file, {"epoch": 1, "model": torch.zeros(10)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        with pytest.raises(NotSaved, match="what was there is kept"):
            save_checkpoint(file, {"epoch": 2, "model": torch.zeros(1_000_000)})
        with pytest.raises(NotSaved):
            save_weights(torch.nn.Linear(1000, 1000), tmp_path / "best.safetensors")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, kept)
    state = load_checkpoint(file)
    assert state is not None
    assert state["epoch"] == 1
    assert list(tmp_path.iterdir()) == [file]


def test_a_card_comes_back_as_it_was_written(tmp_path: Path) -> None:
    card = Card(
        tmp_path / "a.toml", {"data": 'CC0 "photos"'}, {"side": 192.0}, {"medians": (0.25, -1.5)},
        {"val": {"groups.colour.f1": 0.5, "items": 762.0}},
    )  # fmt: skip
    write_card(card)
    assert read_card(tmp_path / "a.toml") == card


def test_weights_can_be_read_by_whoever_may_read_other_new_files(tmp_path: Path) -> None:
    save_weights(torch.nn.Linear(3, 2), tmp_path / "best.safetensors")
    (tmp_path / "other").touch()
    assert (tmp_path / "best.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode
