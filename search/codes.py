"""Appearance codes: pooled activations as one bit a channel, and their Hamming distance.

Shapes in this module:
    N  items      C  channels      W  64-bit words of a code, ceil(C / 64)
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recognition.cards import Card
from recognition.recognizer import Look

Codes = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]


class WidthMismatch(ValueError):
    """Codes of different widths were compared."""


class CodeSpace(NamedTuple):
    """How a look becomes a code: which activations, and where each channel is cut."""

    name: str
    thresholds: Floats  # (C,)
    activations: Callable[[Look], Floats]

    @property
    def n_bits(self) -> int:
        """C."""
        return len(self.thresholds)

    @property
    def n_words(self) -> int:
        """W."""
        return -(-self.n_bits // 64)

    def encode(self, look: Look) -> Codes:
        """The code of one look; (W,)."""
        return np.asarray(binarize(self.activations(look)[None], self.thresholds)[0])


def code_space(card: Card, name: str = "last-median") -> CodeSpace:
    """Return the code space called `name` of a recognizer. Raises KeyError for an unknown one.

    last-median: the last map, each channel cut at its median over the training garments: every bit is set in half of
    them. Measured on val against cutting at zero and against two depths (docs/models.md).
    two-depths: the last and a middle map, cut at zero (SK Planet 2017, section 3.3), for comparison.
    """
    last, middle = card.lists["pooled_median"], card.lists["middle_median"]
    return {
        "last-median": CodeSpace(name, np.array(last, np.float32), lambda look: look.pooled),
        "two-depths": CodeSpace(
            name,
            np.zeros(len(last) + len(middle), np.float32),
            lambda look: np.concatenate([look.pooled, look.middle]),
        ),
    }[name]


CODES = ("last-median", "two-depths")


def binarize(activations: Floats, thresholds: Floats) -> Codes:
    """Set each bit whose activation lies above its threshold.  (N, C) and (C,) to (N, W); missing bits are 0."""
    bits = np.packbits(activations > thresholds, axis=1, bitorder="little")
    padded = np.zeros((len(bits), -(-bits.shape[1] // 8) * 8), np.uint8)
    padded[:, : bits.shape[1]] = bits
    return padded.view("<u8")


def hamming(codes: Codes, query: Codes) -> npt.NDArray[np.int64]:
    """Bits in which each code differs from the query.  (N, W) and (W,) to (N,). Raises WidthMismatch."""
    if codes.shape[1:] != query.shape:
        raise WidthMismatch(f"codes have {codes.shape[1]} words, the query has {len(query)}")
    return np.asarray(np.bitwise_count(codes ^ query).sum(1, dtype=np.int64))
