"""Filters on a layer: which rows match, as a bitmap of the words where anything can match at all.

Shapes in this module:
    B  words of a bitmap, 64 rows each
"""

from collections.abc import Mapping

import numpy as np

from search import bitmaps
from search.epoch import View
from search.layer import NO_NUMBER, Layer, Schema
from search.postings import Bits, Rows, rows_of
from search.where import BadFilter, Where

# Rows of a price range are set one by one from the sorted prices while they are fewer than 1 in WIDE, else all prices are read.
WIDE = 16


class Mask:
    """Rows that match, of which bit 0 is row 64 * first.  bits: (B,); n: how many match."""

    __slots__ = ("bits", "first", "n")

    def __init__(self, first: int, bits: Bits) -> None:
        self.first, self.bits = first, bits
        self.n = int(bitmaps.count_bits(bits))

    @property
    def end(self) -> int:
        """The word after the last."""
        return self.first + len(self.bits)

    def rows(self) -> Rows:
        """The rows that match, ascending."""
        return rows_of(self.bits, self.first)

    def widened(self, first: int, end: int) -> Bits:
        """The same bits in another window, which may be narrower."""
        bits = np.zeros(end - first, np.uint64)
        low, high = max(first, self.first), min(end, self.end)
        if low < high:
            bits[low - first : high - first] = self.bits[low - self.first : high - self.first]
        return bits


class Filter:
    """A where, translated into postings once for all layers. ranges: per number, its row in the table and [low, high].

    Raises UnknownAttribute, and BadFilter for a number that the index does not keep.
    """

    def __init__(self, where: Where, schema: Schema) -> None:
        ids = schema.vocabulary.label_ids
        try:
            self.wanted = {
                group: tuple(tuple(ids[group, value] for value in values) for values in options)
                for group, options in where.wanted.items()
            }
            self.unwanted = {group: tuple(ids[group, v] for v in values) for group, values in where.unwanted.items()}
        except KeyError as unknown:
            schema.vocabulary.check_value(*unknown.args[0])
            raise
        if unknown_numbers := set(where.ranges) - set(schema.numbers):
            raise BadFilter(
                f"the index keeps no number {min(unknown_numbers)!r}; it keeps: {', '.join(schema.numbers)}"
            )
        self.ranges = {
            name: (schema.numbers.index(name), NO_NUMBER + 1 if low is None else low, _TOP if high is None else high)
            for name, (low, high) in where.ranges.items()
        }
        self.groups = where.groups()

    def matching(self, view: View) -> Mask:
        """The living rows that hold to everything."""
        layer, bits = view.layer, view.alive
        first, end = self.window(layer)
        bits = bits[first:end]
        for i, group in enumerate(self.groups):
            bits = np.bitwise_and(bits, self.holds(layer, group, first, end), out=bits if i else None)
        return Mask(first, bits)

    def window(self, layer: Layer) -> tuple[int, int]:
        """The words between which all matches lie."""
        first, end = 0, layer.n_blocks
        span = layer.postings.span
        for options in self.wanted.values():
            if len(options) == len(options[0]) == 1:
                low, high = span(options[0][0])
            else:
                spans = [[span(label) for label in values] for values in options]
                low = min(max(s[0] for s in inner) for inner in spans)
                high = max(min(s[1] for s in inner) for inner in spans)
            first, end = max(first, low), min(end, high)
        return (first, end) if first < end else (0, 0)

    def holds(self, layer: Layer, group: str, first: int, end: int) -> Bits:
        """The rows between two words that hold to the filters on one group, dead or alive; perhaps a read-only view."""
        if group in self.ranges:
            return _between(layer, *self.ranges[group], first, end)
        postings = layer.postings
        held: Bits | None = None
        for values in self.wanted.get(group, ()):
            both = postings.bits(values[0], first, end)
            for value in values[1:]:
                both = both & postings.bits(value, first, end)
            held = both if held is None else held | both
        if held is None:
            held = np.full(end - first, 2**64 - 1, np.uint64)
        for value in self.unwanted.get(group, ()):
            held = held & ~postings.bits(value, first, end)
        return held


_TOP = int(np.iinfo(np.int64).max)


def _between(layer: Layer, column: int, low: int, high: int, first: int, end: int) -> Bits:
    bits = np.zeros(end - first, np.uint64)
    numbers = layer.table.numbers[column]
    if layer.sorted_numbers.shape[1]:
        order = layer.sorted_numbers[column]
        begin, stop = (int(_place(numbers, order, n)) for n in (low, high + 1 if high < _TOP else high))
        if (stop - begin) * WIDE < len(layer):
            bitmaps.set_rows(bits, first, order[begin:stop])
            return bits
    bitmaps.between(numbers, low, high, first, bits)
    return bits


def _place(numbers: Rows, order: "np.ndarray[tuple[int], np.dtype[np.uint32]]", wanted: int) -> int:
    """How many rows have a lower number: binary search through the order, without reading all numbers."""
    low, high = 0, len(order)
    while low < high:
        middle = (low + high) // 2
        if numbers[order[middle]] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


def broken_by(view: View, filters: Filter) -> Mapping[str, Bits]:
    """Per filtered group, the rows (all words) that break its filters, dead or alive."""
    end = view.layer.n_blocks
    return {group: ~filters.holds(view.layer, group, 0, end) for group in filters.groups}
