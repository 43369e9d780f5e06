"""The card beside every weights file: where it came from, for which vocabulary, and how it is to be fed. No torch."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from attributes.vocabulary import Vocabulary


class WeightsMismatch(ValueError):
    """Weights that are missing, damaged, or belong to another vocabulary or model."""


class MissingWeights(FileNotFoundError):
    """Starting weights that are not where they were said to be."""


@dataclass(frozen=True)
class Card:
    """What a weights file says of itself: `text` for words, `numbers` for figures, `lists` for rows of figures.

    metrics: figures measured on each split, by their names.
    """

    file: Path
    text: Mapping[str, str]
    numbers: Mapping[str, float]
    lists: Mapping[str, tuple[float, ...]]
    metrics: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def check(self, vocabulary: Vocabulary) -> None:
        """Raises WeightsMismatch unless the weights were trained with `vocabulary`."""
        theirs = self.text.get("vocabulary", "none")
        if theirs != vocabulary.fingerprint:
            raise WeightsMismatch(
                f"{self.file.name} was trained with vocabulary {theirs}, the shop has {vocabulary.fingerprint}; "
                "retrain or restore the vocabulary"
            )

    def check_files(self, *suffixes: str) -> None:
        """Raises WeightsMismatch unless the weights and the models exported of them, FILE + suffix, are of one export.

        Models hold their graph and take their numbers from the weights file, so that a mixture would run and be wrong.
        """
        ours, weights = self.text.get("fingerprint", "none"), self.file.with_suffix(".safetensors")
        for file in (weights, *(self.file.with_suffix(suffix) for suffix in suffixes)):
            if not file.is_file():
                raise WeightsMismatch(f"{self.file.stem} lacks {file.name}; export it again or restore it")
            of_ours = fingerprint(file) == ours if file == weights else ours.encode() in file.read_bytes()
            if not of_ours:
                raise WeightsMismatch(f"{file.name} is damaged or of other weights than {self.file.name} says")


def fingerprint(file: Path) -> str:
    """12 hex digits over a file: exported models, features and indexes carry those of the weights that made them."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def read_card(file: Path) -> Card:
    """Read a card. Raises WeightsMismatch when it is not there or cannot be read."""
    try:
        with file.open("rb") as opened:
            read = tomllib.load(opened)
    except FileNotFoundError as wrong:
        raise WeightsMismatch(f"no weights called {file.stem!r}: {file} is not there") from wrong
    except tomllib.TOMLDecodeError as wrong:
        raise WeightsMismatch(f"{file.name} is damaged: {wrong}") from wrong
    return Card(
        file=file,
        text={k: v for k, v in read.items() if isinstance(v, str)},
        numbers={k: float(v) for k, v in read.items() if isinstance(v, (int, float))},
        lists={k: tuple(float(x) for x in v) for k, v in read.items() if isinstance(v, list)},
        metrics={
            split: {k: float(v) for k, v in figures.items()} for split, figures in read.get("metrics", {}).items()
        },
    )


def write_card(card: Card) -> None:
    """Write a card as TOML, aside and renamed."""
    lines = [f"{k} = {_quoted(v)}" for k, v in card.text.items()]
    lines += [f"{k} = {v:g}" for k, v in card.numbers.items()]
    lines += [f"{k} = [{', '.join(f'{x:.6g}' for x in v)}]" for k, v in card.lists.items()]
    for split, figures in card.metrics.items():
        lines += [f"[metrics.{_quoted(split)}]", *(f"{_quoted(k)} = {v:.4g}" for k, v in figures.items())]
    aside = card.file.with_suffix(".tmp")
    aside.write_text("\n".join(lines) + "\n")
    aside.rename(card.file)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
