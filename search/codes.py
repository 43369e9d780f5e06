"""Appearance codes: pooled activations as one bit a channel, and their Hamming distance.

Shapes in this module:
    N  items      C  channels      W  64-bit words of a code, ceil(C / 64)
"""

from collections.abc import Callable
from hashlib import shake_256
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recognition.cards import Card, WeightsMismatch
from recognition.looks import Look

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


def code_space(card: Card, name: str = "projected") -> CodeSpace:
    """Return the code space called `name` of a recognizer. Raises KeyError for an unknown one.

    projected: the last map about its mean, projected on as many random directions as it has channels, cut at zero
    (Charikar 2002: the share of equal bits estimates the angle). Measured on val, label nDCG@10: 0.003 to 0.006 below the
    floats; cutting every channel at its own median loses 0.019, since more than half of the activations are zero.
    last-median: the last map, each channel cut at its median over training garments.
    two-depths: the last and a middle map, cut at zero (SK Planet 2017, section 3.3), for comparison.
    """
    last, middle = _list(card, "pooled_median"), _list(card, "middle_median")
    if name == "projected":
        mean, directions = _list(card, "pooled_mean"), random_directions(len(last))
        return CodeSpace(
            name, np.zeros_like(last), lambda look: np.asarray((look.pooled - mean) @ directions, np.float32)
        )
    return {
        "last-median": CodeSpace(name, last, lambda look: look.pooled),
        "two-depths": CodeSpace(
            name,
            np.zeros(len(last) + len(middle), np.float32),
            lambda look: np.concatenate([look.pooled, look.middle]),
        ),
    }[name]


CODES = ("projected", "last-median", "two-depths")


def random_directions(n: int) -> Floats:
    """(n, n) of +1 and -1, the same for ever: codes in an index must not depend on a library's random numbers."""
    drawn = shake_256(b"haberdash").digest(-(-n * n // 8))
    bits = np.unpackbits(np.frombuffer(drawn, np.uint8))[: n * n]
    return np.asarray(bits.reshape(n, n) * 2.0 - 1.0, np.float32)


def _list(card: Card, name: str) -> Floats:
    if name not in card.lists:
        raise WeightsMismatch(f"{card.file.name} has no {name}; export the weights again")
    return np.array(card.lists[name], np.float32)


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
