"""Is it right? What the recognizer reads against the true labels: python -m recognition.evaluate."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attributes.labels import BadDataFolder, Garment, evenly, read_garments
from attributes.report import Figure, fail, model_arguments, progress, write_figures
from attributes.sequence import encode
from attributes.vocabulary import load_vocabulary
from recognition.calibration import expected_calibration_error
from recognition.cards import WeightsMismatch
from recognition.decoding import beam_search, sequence_logp
from recognition.images import BadImage, Pixels, open_photo
from recognition.recognizer import SERVED, Reading, Recognizer

N_BOOTSTRAP = 1000

Pair = tuple[str, str]
Evidence = tuple[npt.NDArray[np.float64], bool]


class Scores(NamedTuple):
    """Pooled counts as rates, 0 to 1."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Judged:
    """One garment: its truth, and how it was read free and guided."""

    garment: Garment
    free: Reading
    guided: Reading
    seen: dict[bool, list[npt.NDArray[np.float64]]]  # per way (guided or not), evidence for each label of the reading
    nll: dict[bool, float]
    ms: float

    @cached_property
    def true(self) -> set[Pair]:
        """The true labels."""
        return set(self.garment.labels.pairs())

    def predicted(self, guided: bool) -> set[Pair]:
        """The labels read; a given category is not one of them."""
        pairs = (self.guided if guided else self.free).labels.pairs()
        return set(pairs[1:] if guided else pairs)

    def emitted(self, guided: bool) -> list[Evidence]:
        """Evidence and truth of each label read."""
        pairs = (self.guided if guided else self.free).labels.pairs()
        rows = list(zip(self.seen[guided], (p in self.true for p in pairs), strict=True))
        return rows[1:] if guided else rows


def judge(recognizer: Recognizer, garments: Sequence[Garment]) -> list[Judged]:
    """Read every garment, free and guided by its true category."""
    opened: tuple[Path | None, Pixels] = (None, np.zeros((1, 1, 3), np.uint8))
    judged = []
    for garment in progress(garments, len(garments), "read"):
        if opened[0] != garment.photo:
            opened = (garment.photo, open_photo(garment.photo))
        judged.append(_judge_one(recognizer, garment, opened[1]))
    return judged


def _judge_one(recognizer: Recognizer, garment: Garment, photo: Pixels) -> Judged:
    started = time.perf_counter()
    look = recognizer.look(photo, garment.box)
    free = recognizer.read(look)
    ms = (time.perf_counter() - started) * 1000
    category = garment.labels.category
    words, tokens = recognizer.words(look), encode(recognizer.grammar, garment.labels)
    guided = recognizer.read(look, category)
    seen, nll = {}, {}
    for way, guide in ((False, None), (True, recognizer.grammar.token("category", category))):
        best = beam_search(recognizer.speller, look.read, words, recognizer.beam, guide)[0]
        seen[way] = recognizer.seen(best, look)
        nll[way] = -sequence_logp(recognizer.speller, look.read, words, tokens, way)
    return Judged(garment, free, guided, seen, nll, ms)


def label_scores(judged: Sequence[Judged], guided: bool, groups: set[str] | None = None) -> Scores:
    """Pooled precision, recall and F1 over all labels, or those of some groups; a given category does not count."""
    counted = groups or {g for g in ("category", *load_vocabulary().groups) if not (guided and g == "category")}
    return pooled_scores(
        [{p for p in one.predicted(guided) if p[0] in counted} for one in judged],
        [{p for p in one.true if p[0] in counted} for one in judged],
    )


def pooled_scores(predicted: Sequence[set[Pair]], true: Sequence[set[Pair]]) -> Scores:
    """Counts pooled over items as rates."""
    hits = sum(len(p & t) for p, t in zip(predicted, true, strict=True))
    n_predicted, n_true = sum(map(len, predicted)), sum(map(len, true))
    precision, recall = hits / max(n_predicted, 1), hits / max(n_true, 1)
    return Scores(precision, recall, 2 * hits / max(n_predicted + n_true, 1), n_true)


def by_group(judged: Sequence[Judged], guided: bool) -> dict[str, Scores]:
    """Scores of every group, the category being one unless it was given."""
    groups = load_vocabulary().groups
    names = list(groups) if guided else ["category", *groups]
    return {name: label_scores(judged, guided, {name}) for name in names}


def _rates(scores: Scores) -> dict[str, Figure]:
    return {"precision": scores.precision, "recall": scores.recall, "f1": scores.f1}


def _category_accuracy(judged: Sequence[Judged], n_first: int = 1) -> float:
    right = [
        one.garment.labels.category in [c.value for c in one.free.categories[:n_first]]
        if n_first > 1
        else one.garment.labels.category == one.free.category
        for one in judged
    ]
    return float(np.mean(right))


def _by_kind(judged: Sequence[Judged]) -> dict[str, list[Judged]]:
    """Garments that fill their photo, and garments in a box of a larger scene."""
    alone = [one for one in judged if one.garment.box is None]
    return {"alone": alone, "street": [one for one in judged if one.garment.box is not None]}


def _of_kind(judged: Sequence[Judged]) -> dict[str, Figure]:
    free, guided = label_scores(judged, False), label_scores(judged, True)
    return {
        "items": len(judged),
        "category_accuracy": _category_accuracy(judged),
        **_rates(free),
        "guided": _rates(guided),
    }


def _intervals(judged: Sequence[Judged], seed: int = 7) -> dict[str, Figure]:
    """95 % bootstrap intervals over `group`, so that a difference can be told from chance."""
    by_group: dict[str, list[int]] = {}
    for i, one in enumerate(judged):
        by_group.setdefault(one.garment.group, []).append(i)
    counts = np.array([_counts(one) for one in judged])
    sums = np.array([counts[at].sum(0) for at in by_group.values()])  # (groups, 8)
    random = np.random.default_rng(seed)
    drawn = random.integers(0, len(sums), (N_BOOTSTRAP, len(sums)))
    total = sums[drawn].sum(1)  # (N_BOOTSTRAP, 8)
    rates = {
        "category_accuracy": total[:, 1] / total[:, 0],
        "precision": total[:, 2] / total[:, 3], "recall": total[:, 2] / total[:, 4],
        "guided_precision": total[:, 5] / total[:, 6], "guided_recall": total[:, 5] / total[:, 7],
    }  # fmt: skip
    return {name: [float(x) for x in np.percentile(values, [2.5, 97.5])] for name, values in rates.items()}


def _counts(one: Judged) -> list[int]:
    free, guided, true = one.predicted(False), one.predicted(True), one.true
    beyond = {p for p in true if p[0] != "category"}
    right = one.free.category == one.garment.labels.category
    return [1, right, len(free & true), len(free), len(true), len(guided & beyond), len(guided), len(beyond)]


def figures(judged: Sequence[Judged], weights: str) -> dict[str, Figure]:
    """All figures of an evaluation (docs/evaluations.md)."""
    free, guided = label_scores(judged, False), label_scores(judged, True)
    groups = by_group(judged, False)
    emitted = [(r.confidence, (r.group, r.value) in one.true) for one in judged for r in one.free.read]
    confidence, right = np.array([c for c, _ in emitted]), np.array([r for _, r in emitted])
    return {
        "weights": weights,
        "items": len(judged),
        "category_accuracy": _category_accuracy(judged),
        "category_top3": _category_accuracy(judged, 3),
        **_rates(free),
        "macro_f1": float(np.mean([s.f1 for s in groups.values()])),
        "nll": float(np.mean([one.nll[False] for one in judged])),
        "ece": expected_calibration_error(confidence, right),
        "free_without_category": _rates(label_scores(judged, False, set(load_vocabulary().groups))),
        "groups": {name: {**_rates(s), "support": s.support} for name, s in groups.items()},
        "kinds": {kind: _of_kind(some) for kind, some in _by_kind(judged).items() if some},
        "guided": {
            **_rates(guided),
            "nll": float(np.mean([one.nll[True] for one in judged])),
            "groups": {name: {**_rates(s), "support": s.support} for name, s in by_group(judged, True).items()},
        },
        "intervals": _intervals(judged),
        "ms_per_photo": float(np.median([one.ms for one in judged])),
    }


def main() -> None:
    """Read the command line, judge one split, print and write the figures."""
    arguments = model_arguments(__doc__ or "").parse_args()
    name = arguments.weights or SERVED
    try:
        garments = read_garments(Path(arguments.data), load_vocabulary(), arguments.split)
        recognizer = Recognizer.load(name)
        chosen = [garments[i] for i in evenly(len(garments), arguments.limit)]
        write_figures(figures(judge(recognizer, chosen), name), arguments.json)
    except (BadDataFolder, WeightsMismatch, BadImage) as wrong:
        fail(str(wrong))


if __name__ == "__main__":
    main()
