"""For every label, the products that have it: a bitmap where they are many, a list of rows where they are few.

Behind the labels of the vocabulary come as many more postings as there are groups: the products that have any label in it.

Shapes in this module:
    N  rows      B  words of a bitmap, 64 rows each      L  labels and groups      V  words of a row's label set
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from attributes.vocabulary import Vocabulary
from search import bitmaps

Bits = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]

# A list of rows costs 4 bytes each, a bitmap 8 for 64: from one row in SPARSE on a bitmap is at most four times as large, and
# it is ANDed 64 rows at a time.
SPARSE = 128


@dataclass(frozen=True)
class Labels:
    """Where things are in a label set. groups: per group, category first, its first label and the one after its last."""

    n_labels: int
    groups: dict[str, tuple[int, int]]

    @property
    def n_words(self) -> int:
        """V."""
        return -(-self.n_labels // 64)

    @cached_property
    def _group_postings(self) -> dict[str, int]:
        return {group: self.n_labels + i for i, group in enumerate(self.groups)}

    def group_posting(self, group: str) -> int:
        """The posting of the products that have any label in a group."""
        return self._group_postings[group]


def labels_of(vocabulary: Vocabulary) -> Labels:
    """How a vocabulary's labels lie in a label set."""
    groups, start = {}, 0
    for group in ("category", *vocabulary.groups):
        n = len(vocabulary.values(group))
        groups[group] = (start, start + n)
        start += n
    return Labels(start, groups)


def label_words(label_sets: Sequence[Sequence[int]], n_labels: int) -> Bits:
    """Label ids as bits; (N, V)."""
    words = np.zeros((len(label_sets), -(-n_labels // 64)), np.uint64)
    for row, labels in enumerate(label_sets):
        for label in labels:
            words[row, label >> 6] |= np.uint64(1 << (label & 63))
    return words


def rows_of(bits: Bits, first: int = 0) -> Rows:
    """The rows that are set, ascending; bit 0 is row 64 * first."""
    rows = np.empty(int(bitmaps.count_bits(bits)), np.int64)
    bitmaps.rows_of(bits, first, rows)
    return rows


def held_between(words: Bits, start: int, stop: int) -> Iterator[tuple[int, Bits]]:
    """The labels of each row in [start, stop), last word first: the word's place and its bits.  words: (N, V)."""
    for word in reversed(range(start >> 6, -(-stop // 64))):
        low, high = max(start - word * 64, 0), min(stop - word * 64, 64)
        yield word, words[:, word] & np.uint64((1 << high) - (1 << low))


def first_label(words: Bits, start: int, stop: int) -> Rows:
    """The lowest label of each row in [start, stop), and `stop` where there is none.  words: (N, V); (N,)."""
    lowest = np.full(len(words), stop, np.int64)
    for word, held in held_between(words, start, stop):
        isolated = held & (~held + np.uint64(1))
        position = np.bitwise_count(isolated - np.uint64(1)).astype(np.int64)
        lowest = np.where(held != 0, word * 64 + position, lowest)
    return lowest


class Postings:
    """All postings of one layer.

    table: (L, 4) int64 of is-a-list, first word, start and stop in `words` (uint64) or `lists` (uint32).
    """

    def __init__(self, table: Rows, words: Bits, lists: npt.NDArray[np.uint32]) -> None:
        self.table, self.words, self.lists = table, words, lists
        self._spans: dict[int, tuple[int, int]] = {}

    @cached_property
    def _places(self) -> list[list[int]]:
        return self.table.tolist()  # type: ignore[no-any-return]  # numbers of Python are quicker to ask one by one

    def span(self, posting: int) -> tuple[int, int]:
        """The words between which all rows of a posting lie; (0, 0) for none."""
        if posting not in self._spans:
            self._spans[posting] = self._span(posting)
        return self._spans[posting]

    def _span(self, posting: int) -> tuple[int, int]:
        is_list, first, start, stop = self._places[posting]
        if start == stop:
            return 0, 0
        if is_list:
            return int(self.lists[start]) >> 6, (int(self.lists[stop - 1]) >> 6) + 1
        return first, first + stop - start

    def bits(self, posting: int, first: int, end: int) -> Bits:
        """A posting's bitmap between two words; perhaps a read-only view."""
        is_list, word, start, stop = self._places[posting]
        if not is_list and word <= first and end <= word + stop - start:
            return self.words[start + first - word : start + end - word]
        bits = np.zeros(max(end - first, 0), np.uint64)
        if is_list:
            bitmaps.set_rows(bits, first, self.lists[start:stop])
            return bits
        low, high = max(first, word), min(end, word + stop - start)
        if low < high:
            bits[low - first : high - first] = self.words[start + low - word : start + high - word]
        return bits

    def n_touched(self, low: int, high: int) -> int:
        """Words and rows that counting the postings low to high reads."""
        return int((self.table[low:high, 3] - self.table[low:high, 2]).sum())


def build_postings(words: Bits, labels: Labels) -> Postings:
    """The postings of label sets.  words: (N, V)."""
    frozen = np.ascontiguousarray(words)
    frozen.flags.writeable = False
    n_blocks = -(-len(words) // 64)
    table: list[tuple[int, int, int, int]] = []
    dense: list[Bits] = []
    lists: list[npt.NDArray[np.uint32]] = []
    at_word = at_row = 0
    ranges = [(label, label + 1) for label in range(labels.n_labels)] + list(labels.groups.values())
    for low, high in ranges:
        bits = np.zeros(n_blocks, np.uint64)
        for label in range(low, high):
            one = np.zeros(n_blocks, np.uint64)
            bitmaps.label_bits(frozen, label >> 6, label & 63, one)
            bits |= one
        filled = np.flatnonzero(bits)
        count = int(bitmaps.count_bits(bits))
        first, end = (int(filled[0]), int(filled[-1]) + 1) if count else (0, 0)
        if count * SPARSE < (end - first) * 64:
            lists.append(rows_of(bits).astype(np.uint32))
            table.append((1, 0, at_row, at_row + count))
            at_row += count
        else:
            dense.append(bits[first:end])
            table.append((0, first, at_word, at_word + end - first))
            at_word += end - first
    return Postings(
        np.array(table, np.int64).reshape(-1, 4),
        np.concatenate([np.zeros(0, np.uint64), *dense]),
        np.concatenate([np.zeros(0, np.uint32), *lists]),
    )
