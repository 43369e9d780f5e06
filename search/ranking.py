"""The distance of a query and every product, in integers so that equal is equal, and its three parts.

    distance = (a * Hamming / bits + b * L1(histograms) / 2 + c * disagreement) / (a + b + c)

Shapes in this module:
    N  products      L  labels of the vocabulary
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attributes.vocabulary import Vocabulary
from search.codes import Codes, hamming
from search.colour import TOTAL, Histogram
from search.colour import distance as colour_distance
from search.segment import Segment

Integers = npt.NDArray[np.int64]

SHARES = 10_000  # the confidences of the labels read are shares that add up to this


class Weights(NamedTuple):
    """How much code, colour and labels count; whole numbers."""

    code: int
    colour: int
    labels: int

    @property
    def total(self) -> int:
        """a + b + c."""
        return self.code + self.colour + self.labels


# Label nDCG@10 on val of a grid (python -m search.tune): 0.713, of 0.714 without colour and 0.618 of the code alone. The two
# shares of colour cost nothing measurable and let the nearer colour win among equals.
DEFAULT = Weights(code=60, colour=2, labels=38)


class Preference(NamedTuple):
    """A label read from the query's photo, with its confidence, 0 to 1."""

    label: int
    confidence: float


class Parts(NamedTuple):
    """The three parts of each product's distance in their own units, each (N,): bits, 1/255, 1/SHARES."""

    code: Integers
    colour: Integers
    labels: Integers


def shares(preferences: Sequence[Preference]) -> list[int]:
    """The preferences' confidences as whole shares of SHARES, largest remainders rounded up."""
    total = sum(p.confidence for p in preferences)
    if total <= 0:
        return [0] * len(preferences)
    exact = [p.confidence / total * SHARES for p in preferences]
    whole = [int(x) for x in exact]
    for i in sorted(range(len(exact)), key=lambda i: (whole[i] - exact[i], i))[: SHARES - sum(whole)]:
        whole[i] += 1
    return whole


def disagreement(segment: Segment, preferences: Sequence[Preference], vocabulary: Vocabulary) -> Integers:
    """Confidence-weighted share of the preferences that each product lacks, in 1/SHARES; (N,).

    A group that is empty on the product is neutral: its preferences do not count as lacking.
    """
    lacking = np.zeros(len(segment), np.int64)
    for preference, share in zip(preferences, shares(preferences), strict=True):
        speaks = speaking(segment, vocabulary, vocabulary.labels[preference.label][0])
        lacking += np.where(speaks & (segment.has[:, preference.label] == 0), share, 0)
    return lacking


def speaking(segment: Segment, vocabulary: Vocabulary, group: str) -> npt.NDArray[np.bool_]:
    """Which products have any label in `group`; (N,)."""
    start, stop = label_range(vocabulary, group)
    return np.asarray(segment.has[:, start:stop].any(1))


def label_range(vocabulary: Vocabulary, group: str) -> tuple[int, int]:
    """First label id of a group, and the one after its last."""
    values = vocabulary.values(group)
    start = vocabulary.label_ids[group, values[0]]
    return start, start + len(values)


def parts(
    segment: Segment, code: Codes, colour: Histogram, preferences: Sequence[Preference], vocabulary: Vocabulary
) -> Parts:
    """The three parts for every product."""
    return Parts(
        hamming(segment.codes, code),
        colour_distance(segment.colours, colour),
        disagreement(segment, preferences, vocabulary),
    )


def combine(parts: Parts, n_bits: int, weights: Weights = DEFAULT) -> Integers:
    """The distance of every product as whole multiples of 1 / scale(n_bits, weights); (N,)."""
    return (
        weights.code * parts.code * (TOTAL * SHARES)
        + weights.colour * parts.colour * (n_bits * SHARES)
        + weights.labels * parts.labels * (n_bits * TOTAL)
    )


def scale(n_bits: int, weights: Weights = DEFAULT) -> int:
    """What `combine` is to be divided by for a distance in [0, 1]."""
    return weights.total * n_bits * TOTAL * SHARES
