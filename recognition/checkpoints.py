"""What a training run leaves: checkpoints to resume from, and at the end weights with a card that says how they came.

Every file is written aside, synced and renamed, so that a crash leaves the last good one.
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor, nn

from attributes.report import Figure, positive
from attributes.vocabulary import Vocabulary
from recognition.cards import Card, WeightsMismatch, fingerprint, read_card
from recognition.weight_files import NEVER, read, stored


class NotSaved(OSError):
    """What could not be written; the file of before is as it was."""


def save_checkpoint(file: Path, state: Mapping[str, object]) -> None:
    """Write a training state (model, optimizer, epoch ...) durably. Raises NotSaved."""
    with _aside(file) as opened:
        torch.save(dict(state), opened)


@contextmanager
def _aside(file: Path) -> Iterator[BinaryIO]:
    """An open file, which is synced and takes the place of `file` when everything went well."""
    aside = file.with_suffix(".tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as opened:
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
        aside.rename(file)
    except (OSError, RuntimeError) as wrong:  # torch tells of a full disk in its own way
        aside.unlink(missing_ok=True)
        raise NotSaved(f"{file} could not be written, what was there is kept: {wrong}") from wrong


def load_checkpoint(file: Path) -> dict[str, object] | None:
    """Read a training state back; None when no run has left one. Only tensors and plain values are unpickled."""
    if not file.is_file():
        return None
    state: dict[str, object] = torch.load(file, map_location="cpu", weights_only=True)
    return state


def save_weights(model: nn.Module, file: Path, eight_from: int = NEVER) -> None:
    """Write a model's parameters as float16 safetensors, those of `eight_from` numbers or more in 8 bits. Raises NotSaved."""
    with _aside(file) as opened:
        opened.write(save(stored(model.state_dict(), eight_from)))


def export_arguments(description: str, name: str, out: Path) -> argparse.ArgumentParser:
    """The arguments of whatever exports a training run.  name: that the weights get; out: the folder they go to."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="data folder; its split val chooses and judges")
    parser.add_argument("--run", required=True, help="name of the training run under --runs")
    parser.add_argument("--runs", type=Path, default=Path("var/runs"))
    parser.add_argument("--name", default=name, help="name that the weights get")
    parser.add_argument("--out", type=Path, default=out)
    parser.add_argument(
        "--eight-from", type=positive, default=NEVER, metavar="N",
        help="store tensors of N numbers or more in 8 bits (none)",
    )  # fmt: skip
    parser.add_argument("--told", nargs="*", default=[], metavar="KEY=TEXT", help="words for the card")
    return parser


def publish_weights(model: nn.Module, card: Card, eight_from: int = NEVER) -> Card:
    """Write the weights beside `card` and let the model have what was written; returns the card with their fingerprint.

    Raises NotSaved.
    """
    weights = card.file.with_suffix(".safetensors")
    save_weights(model, weights, eight_from)
    model.load_state_dict(read(weights))
    return replace(card, text={**card.text, "fingerprint": fingerprint(weights)})


def load_weights(model: nn.Module, file: Path, vocabulary: Vocabulary, grow: bool = False) -> None:
    """Read weights into `model`. Raises WeightsMismatch when vocabulary or names differ, saying what.

    With `grow` the model may have parts that the file lacks, which stay as they start, and may read more columns than
    the file has, which start at zero: a model trained before such a part was added is trained on.
    """
    card = read_card(file.with_suffix(".toml"))
    card.check(vocabulary)
    try:
        tensors = read(file)
    except (OSError, SafetensorError) as wrong:
        raise WeightsMismatch(f"{file.name} is missing or damaged: {wrong}") from wrong
    if grow:
        for name, own in model.state_dict().items():
            tensors[name] = _grown(tensors[name], own) if name in tensors else own
    try:
        missing, unknown = model.load_state_dict(tensors, strict=False)
    except RuntimeError as wrong:
        raise WeightsMismatch(f"{file.name} does not fit this model: {wrong}") from wrong
    if missing or unknown:
        raise WeightsMismatch(f"{file.name} does not fit this model: lacks {missing[:3]}, has {unknown[:3]} besides")


def _grown(read: Tensor, own: Tensor) -> Tensor:
    if read.shape == own.shape or read.ndim != 2 or read.shape[0] != own.shape[0] or read.shape[1] > own.shape[1]:
        return read
    wider = torch.zeros_like(own)
    wider[:, : read.shape[1]] = read
    return wider


def log_line(file: Path, figures: Mapping[str, Figure]) -> None:
    """Append one line of JSON to a training log."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as opened:
        opened.write(json.dumps(dict(figures)) + "\n")
