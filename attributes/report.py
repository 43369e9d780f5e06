"""What the command lines of every room share: arguments of evaluations, figures out, a user's mistake as one line."""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeAlias, TypeVar

T = TypeVar("T")
Figure: TypeAlias = "float | int | str | None | Sequence[Figure] | Mapping[str, Figure]"


def evaluation_arguments(description: str) -> argparse.ArgumentParser:
    """The arguments that every evaluation has: --data, --split, --json."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", required=True, help="data folder with items.csv, boxes.csv, photos/")
    parser.add_argument("--split", default="val", help="value of the column `split` to judge (default: val)")
    parser.add_argument("--json", type=Path, help="write the printed figures to this file too")
    return parser


def model_arguments(description: str) -> argparse.ArgumentParser:
    """The arguments of an evaluation that judges a model: --weights and --limit besides."""
    parser = evaluation_arguments(description)
    parser.add_argument("--weights", help="name of the weights to judge (default: those that are served)")
    parser.add_argument("--limit", type=positive, help="judge this many evenly spaced rows only")
    return parser


def positive(text: str) -> int:
    """An argument that must be a whole number above zero. Raises ArgumentTypeError."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above zero, not {text!r}")
    return int(text)


def write_figures(figures: Mapping[str, Figure], file: Path | None) -> None:
    """Print the figures as JSON and write the same to `file`, if one is named."""
    text = json.dumps(_rounded(figures), indent=2)
    print(text)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")


def fail(message: str) -> NoReturn:
    """End the program for a user's mistake: one line on stderr, status 2."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Pass items through, drawing a bar on stderr: redrawn in place on a terminal, every tenth elsewhere."""
    live = sys.stderr.isatty()
    started, shown = time.monotonic(), -1
    for done, item in enumerate(items, 1):
        yield item
        step = done * (100 if live else 10) // max(total, 1)
        if step > shown:
            shown = step
            left_s = (time.monotonic() - started) / done * (total - done)
            bar = "#" * (done * 24 // max(total, 1))
            line = f"{what} [{bar:<24}] {done}/{total}, {left_s:.0f} s left"
            print("\r" + line if live else line, end="" if live else "\n", file=sys.stderr, flush=True)
    if live and shown >= 0:
        print(file=sys.stderr)


def _rounded(figure: Figure) -> Figure:
    if isinstance(figure, float):
        return round(figure, 4)
    if isinstance(figure, Mapping):
        return {k: _rounded(v) for k, v in figure.items()}
    if isinstance(figure, Sequence) and not isinstance(figure, str):
        return [_rounded(v) for v in figure]
    return figure


def flat(figures: Mapping[str, Figure], before: str = "") -> dict[str, float]:
    """Every number of nested figures under its path, as in groups.colour.f1; pairs are intervals, from .low to .high."""
    told: dict[str, float] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            told |= flat(value, f"{before}{name}.")
        elif isinstance(value, (int, float)):
            told[before + name] = float(value)
        elif isinstance(value, list) and len(value) == 2:
            told |= zip((f"{before}{name}.low", f"{before}{name}.high"), map(float, value), strict=True)
    return told
