"""The distance of a query and a product, in integers so that equal is equal, and its three parts.

    distance = (a * Hamming / bits + b * L1(histograms) / 2 + c * disagreement) / (a + b + c)

This is the definition, in numpy; `nearest.py` finds the k smallest without computing most of them.

Shapes in this module:
    N  products      W  64-bit words of a code      P  preferences
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attributes.vocabulary import Vocabulary
from search.codes import hamming
from search.colour import TOTAL
from search.colour import distance as colour_distance
from search.features import Features
from search.layer import Table
from search.postings import Bits, held_between

Integers = npt.NDArray[np.int64]

SHARES = 10_000  # the confidences of the labels read are shares that add up to this
HEAVIEST = 1_000_000  # the largest sum of weights: distances stay within 64 bits


class BadWeights(ValueError):
    """Weights that are negative, all zero, or too large."""


class Weights(NamedTuple):
    """How much code, colour and labels count; whole numbers."""

    code: int
    colour: int
    labels: int

    @property
    def total(self) -> int:
        """a + b + c."""
        return self.code + self.colour + self.labels

    def units(self, n_bits: int) -> Integers:
        """How much one bit, one 1/255 of colour and one of SHARES count, so that distances are whole; (3,).

        Raises BadWeights.
        """
        if min(self) < 0 or not 0 < self.total <= HEAVIEST:
            raise BadWeights(f"weights are whole numbers from 0, with a sum from 1 to {HEAVIEST}, not {tuple(self)}")
        return np.array([self.code * TOTAL * SHARES, self.colour * n_bits * SHARES, self.labels * n_bits * TOTAL])


# Label nDCG@10 on val of a grid (python -m search.tune): 0.716, of 0.717 without colour and 0.617 of the code alone. The two
# shares of colour cost nothing measurable and let the nearer colour win among equals.
DEFAULT = Weights(code=65, colour=2, labels=33)
CODE_ALONE = Weights(1, 0, 0)


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


def disagreement(labels: Bits, preferences: Sequence[Preference], vocabulary: Vocabulary) -> Integers:
    """Confidence-weighted share of the preferences that each product lacks, in 1/SHARES.  labels: (N, V); (N,).

    A group that is empty on the product is neutral: its preferences do not count as lacking.
    """
    lacking = np.zeros(len(labels), np.int64)
    for preference, share in zip(preferences, shares(preferences), strict=True):
        speaks = speaking(labels, vocabulary, vocabulary.labels[preference.label][0])
        lacking += np.where(speaks & ~has(labels, preference.label), share, 0)
    return lacking


def has(labels: Bits, label: int) -> npt.NDArray[np.bool_]:
    """Which products have a label; (N,)."""
    return np.asarray((labels[:, label >> 6] >> np.uint64(label & 63)) & np.uint64(1) != 0)


def speaking(labels: Bits, vocabulary: Vocabulary, group: str) -> npt.NDArray[np.bool_]:
    """Which products have any label in `group`; (N,)."""
    start, stop = label_range(vocabulary, group)
    speaks = np.zeros(len(labels), np.bool_)
    for _, held in held_between(labels, start, stop):
        speaks |= held != 0
    return speaks


def label_range(vocabulary: Vocabulary, group: str) -> tuple[int, int]:
    """First label id of a group, and the one after its last."""
    values = vocabulary.values(group)
    start = vocabulary.label_ids[group, values[0]]
    return start, start + len(values)


def parts(table: Table, query: Features, preferences: Sequence[Preference], vocabulary: Vocabulary) -> Parts:
    """The three parts for every product. Raises WidthMismatch."""
    return Parts(
        hamming(table.codes, query.code),
        colour_distance(table.colours, query.colour),
        disagreement(table.labels, preferences, vocabulary),
    )


def combine(parts: Parts, n_bits: int, weights: Weights = DEFAULT) -> Integers:
    """The distance of every product as whole multiples of 1 / scale(n_bits, weights); (N,)."""
    per_bit, per_colour, per_share = weights.units(n_bits)
    return np.asarray(parts.code * per_bit + parts.colour * per_colour + parts.labels * per_share)


def scale(n_bits: int, weights: Weights = DEFAULT) -> int:
    """What `combine` is to be divided by for a distance in [0, 1]."""
    return weights.total * n_bits * TOTAL * SHARES
