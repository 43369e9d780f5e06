"""The settings of a model that are chosen after training: how it reads on val, how sure it is, where codes cut.

Shapes in this module:
    C, M  channels of the last and the middle map
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attributes.labels import Garment
from attributes.report import progress
from attributes.vocabulary import load_vocabulary
from recognition.calibration import fit
from recognition.cards import Card, WeightsMismatch, read_card
from recognition.dataset import places_of, squared_crops
from recognition.evaluate import Judged, judge, pooled_scores
from recognition.looks import Look
from recognition.recognizer import Recognizer

HEADS_WEIGHTS = (0.0, 1.0, 2.0, 4.0)
BEAMS = (1, 4)
BIAS_STEPS = (0.4, -0.4, 0.8)  # nats


class Seen(NamedTuple):
    """Garments whose photos could be read, and what the encoder sees of each."""

    garments: list[Garment]
    looks: list[Look]

    @property
    def true(self) -> list[set[tuple[str, str]]]:
        """Their labels."""
        return [set(garment.labels.pairs()) for garment in self.garments]

    def read(self, recognizer: Recognizer) -> list[set[tuple[str, str]]]:
        """The labels that a recognizer spells of what was seen."""
        return [set(recognizer.read(look).labels.pairs()) for look in self.looks]


def seen_by(recognizer: Recognizer, garments: Sequence[Garment], title: str) -> Seen:
    """Look at every garment once, with a progress bar called `title`."""
    crops, readable = squared_crops(garments, recognizer.side)
    kept = [garments[i] for i in readable]
    pairs = progress(zip(crops, places_of(kept), strict=True), len(kept), title)
    return Seen(kept, [recognizer.look_at_square(np.asarray(crop), where) for crop, where in pairs])


def thresholds(recognizer: Recognizer, garments: Sequence[Garment]) -> dict[str, tuple[float, ...]]:
    """Means and medians over training garments of every channel: where the appearance codes cut."""
    looks = seen_by(recognizer, garments, "code thresholds").looks
    return {
        "pooled_mean": tuple(np.mean([x.pooled for x in looks], 0).tolist()),
        "pooled_median": tuple(np.median([x.pooled for x in looks], 0).tolist()),
        "middle_median": tuple(np.median([x.middle for x in looks], 0).tolist()),
    }


def calibrated(recognizer: Recognizer, garments: Sequence[Garment]) -> dict[str, tuple[float, ...]]:
    """Fit the confidence maps on garments that were kept from training."""
    judged = judge(recognizer, garments)
    return {f"calibration_{way}": _fitted(judged, way == "guided") for way in ("free", "guided")}


def _fitted(judged: Sequence[Judged], guided: bool) -> tuple[float, ...]:
    emitted = [pair for one in judged for pair in one.emitted(guided)]
    seen, right = np.array([e for e, _ in emitted]), np.array([r for _, r in emitted])
    return fit(seen, right).coefficients


def choose(card: Card, garments: Sequence[Garment]) -> Card:
    """Try one view and two, every beam width and heads' weight on `garments`; keep the best F1 of free reading."""
    best, kept = -1.0, card
    opened = Recognizer(load_vocabulary(), card)
    for mirror in (0, 1):
        views = opened.with_settings(_with(card, mirror=mirror))
        seen = seen_by(views, garments, "two views" if mirror else "one view")
        for weight in HEADS_WEIGHTS:
            for beam in BEAMS:
                tried = _with(card, mirror=mirror, beam=beam, heads_weight=weight)
                scores = pooled_scores(seen.read(opened.with_settings(tried)), seen.true)
                print(f"{'mirror, ' * mirror}beam {beam}, heads {weight}: {scores.precision:.4f} / {scores.recall:.4f}")
                if scores.f1 > best + 5e-4:  # the simpler setting comes first and wins near ties
                    best, kept = scores.f1, tried
    return kept


def choose_biases(card: Card, garments: Sequence[Garment]) -> Card:
    """Turn the bias of one group after the other, twice, to the best F1 of free reading on `garments`.

    Most is to be won where a garment has several values, of which the likeliest spelling is too short.
    """
    vocabulary = load_vocabulary()
    opened = Recognizer(vocabulary, card)
    seen = seen_by(opened, garments, "biases")
    biases = dict.fromkeys(vocabulary.groups, 0.0)

    def tried(group: str, bias: float) -> Card:
        by_group = {**biases, group: bias}
        return replace(card, lists={**card.lists, "label_biases": tuple(
            by_group.get(g, 0.0) for g, _ in vocabulary.labels)})  # fmt: skip

    def f1(one: Card) -> float:
        return pooled_scores(seen.read(opened.with_settings(one)), seen.true).f1

    best = f1(card)
    for group in [g for _ in range(2) for g in vocabulary.groups]:
        for step in BIAS_STEPS:
            reached = f1(tried(group, biases[group] + step))
            if reached > best + 3e-4:
                best, biases[group] = reached, biases[group] + step
                break
    print("biases:", ", ".join(f"{g} {b:+g}" for g, b in biases.items() if b), f"F1 {best:.4f}", flush=True)
    return tried("category", 0.0)


def better(serving: Path, new: Path, garments: Sequence[Garment]) -> str:
    """Why the weights of the card `serving` are better than those of the card `new` on `garments`; "" if they are not.

    Weights that cannot be read any more, or that have another vocabulary, are not better.
    """
    vocabulary = load_vocabulary()
    try:
        old = Recognizer(vocabulary, read_card(serving))
    except WeightsMismatch:
        return ""
    theirs, ours = (free_f1(judge(reader, garments)) for reader in (old, Recognizer(vocabulary, read_card(new))))
    return f"F1 is {theirs:.4f} with what serves and {ours:.4f} with the new weights" if theirs > ours else ""


def free_f1(judged: Sequence[Judged]) -> float:
    """F1 of free reading."""
    return pooled_scores([one.predicted(False) for one in judged], [one.true for one in judged]).f1


def _with(card: Card, **numbers: float) -> Card:
    return replace(card, numbers={**card.numbers, **numbers})
