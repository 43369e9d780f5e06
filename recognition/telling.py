"""What a card tells of a model besides how to run it: how it came about, how good it is, and where it is wrong."""

import json
from collections.abc import Sequence
from pathlib import Path

from attributes.report import flat
from recognition.evaluate import Judged, by_group, figures
from recognition.failures import confusions

NOT_FOR = (
    "judging people: audience is the cut of a garment as sellers name it, not who wears it; whole street scenes without a "
    "detector before it; deciding without a person whether goods are genuine, new, or what a label says by law"
)
WEAK_F1 = 0.6  # of a group, below which the card names it as weak
N_CONFUSIONS = 6


def metrics(judged: Sequence[Judged], without: str = "") -> dict[str, float]:
    """Every figure of an evaluation, by group and by kind of photo too, under names like groups.colour.f1.

    without: a figure that these garments cannot give, as the calibration of confidences that were fitted on them.
    """
    return {name: value for name, value in flat(figures(judged, "")).items() if name not in ("ms_per_photo", without)}


def weak_spots(judged: Sequence[Judged]) -> str:
    """The groups that are read worst, and the categories most often taken for another, in words."""
    worst = sorted(by_group(judged, False).items(), key=lambda pair: pair[1].f1)
    weak = [f"{name} (F1 {scores.f1:.2f})" for name, scores in worst if scores.f1 < WEAK_F1]
    mixed = [f"{true} read as {read} ({n})" for (true, read), n in confusions(judged)[:N_CONFUSIONS]]
    return "; ".join(filter(None, [", ".join(weak), ", ".join(mixed)]))


def curve(run: Path) -> dict[str, tuple[float, ...]]:
    """Loss on training and validation garments, and minutes, of every epoch of a training run that kept a log."""
    log = run / "log.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.is_file() else []
    return {f"curve_{name}": tuple(line[name] for line in lines) for name in ("train", "val", "minutes")}
