"""What a search looks at: rows of products in arrays, whether they come from a file or from memory.

Shapes in this module:
    N  rows      W  64-bit words of a code      V  words of a label set      M  numbers, price the first      F  float features
    C  clusters: runs of rows whose codes are alike
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attributes.vocabulary import Vocabulary
from search import bitmaps
from search.codes import Codes, WidthMismatch
from search.colour import N_BINS, Histogram
from search.postings import Bits, Labels, Postings, Rows, label_words, labels_of

NO_NUMBER = -1  # where a product has no price; prices are whole cents and never negative
Halves = npt.NDArray[np.uint16]  # bits of half-precision floats


class RepeatedProduct(ValueError):
    """A table that names a sku twice."""


class BadFeatures(ValueError):
    """Float features that are not finite."""


@dataclass(frozen=True)
class Schema:
    """What an index holds. features: which weights and codes it was made with; codes of others cannot be compared."""

    vocabulary: Vocabulary
    n_bits: int
    features: str
    n_floats: int = 0
    numbers: tuple[str, ...] = ("price",)

    @cached_property
    def n_words(self) -> int:
        """W."""
        return -(-self.n_bits // 64)

    @cached_property
    def labels(self) -> Labels:
        """How label sets lie in bits."""
        return labels_of(self.vocabulary)


class Entry(NamedTuple):
    """One product as it is indexed. labels: ids in the vocabulary; price in cents, None where there is none.

    numbers: further numbers by name, whole hundredths.  floats: (F,) features of the fine step, if the index keeps them.
    """

    sku: str
    code: Codes  # (W,)
    colour: Histogram  # (64,)
    labels: tuple[int, ...]
    price: int | None
    numbers: tuple[tuple[str, int], ...] = ()
    floats: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, eq=False)
class Names:
    """Many skus: their UTF-8 one after the other, and where each begins.  text: uint8; starts: (N + 1,) int64."""

    text: npt.NDArray[np.uint8]
    starts: Rows

    def __len__(self) -> int:
        return len(self.starts) - 1

    def take(self, rows: Rows) -> "Names":
        """Some of them, in the given order."""
        lengths = (self.starts[1:] - self.starts[:-1])[rows]
        starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = np.repeat(self.starts[:-1][rows] - starts[:-1], lengths) + np.arange(starts[-1])
        return Names(self.text[places], starts)

    def sorted_rows(self) -> Rows:
        """Rows in the order of their names (by code point, as Python sorts). Raises RepeatedProduct for two of the same."""
        lengths = self.starts[1:] - self.starts[:-1]
        width = -(-max(int(lengths.max(initial=0)), 1) // 8)
        padded = np.zeros((len(self), width * 8), np.uint8)
        inside = np.arange(width * 8) < lengths[:, None]
        padded[inside] = self.text
        words = padded.view(">u8").astype(np.uint64)
        order = np.lexsort(words.T[::-1])
        repeated = np.flatnonzero((words[order[1:]] == words[order[:-1]]).all(1))
        if len(repeated):
            raise RepeatedProduct(f"{self.take(order[repeated[:1]]).tolist()[0]} is there more than once")
        return order

    def tolist(self) -> list[str]:
        """As strings."""
        text = self.text.tobytes()
        ends = self.starts.tolist()
        return [text[a:b].decode() for a, b in pairwise(ends)]


def names_of(skus: Iterable[str]) -> Names:
    """Strings as names."""
    encoded = [sku.encode() for sku in skus]
    text = np.frombuffer(b"".join(encoded), np.uint8)
    return Names(text, np.concatenate([[0], np.cumsum([len(e) for e in encoded])]).astype(np.int64))


@dataclass(frozen=True, eq=False)
class Table:
    """Products in columns, in any order: what batches, segments and journals are made of."""

    names: Names
    codes: Codes  # (N, W)
    colours: Histogram  # (N, 64)
    labels: Bits  # (N, V)
    numbers: Rows  # (M, N)
    floats: Halves  # (N, F)

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: Rows) -> "Table":
        """Some rows, in the given order."""
        return Table(
            self.names.take(rows), self.codes[rows], self.colours[rows], self.labels[rows], self.numbers[:, rows],
            self.floats[rows],
        )  # fmt: skip


def empty_table(schema: Schema) -> Table:
    """No products."""
    return table_of([], schema)


def table_of(entries: Sequence[Entry], schema: Schema) -> Table:
    """Entries as columns. Raises WidthMismatch, BadFeatures, KeyError for a number that the index does not keep."""
    n, wide = len(entries), schema.n_words
    for entry in entries:
        if entry.code.shape != (wide,):
            raise WidthMismatch(f"{entry.sku}: the index has codes of {wide} words, this one has {len(entry.code)}")
    numbers = np.full((len(schema.numbers), n), NO_NUMBER, np.int64)
    for row, entry in enumerate(entries):
        for name, value in (("price", entry.price), *entry.numbers):
            if value is not None:
                numbers[schema.numbers.index(name), row] = value
    return Table(
        names_of(e.sku for e in entries),
        np.array([e.code for e in entries], np.uint64).reshape(n, wide),
        np.array([e.colour for e in entries], np.uint8).reshape(n, N_BINS),
        label_words([e.labels for e in entries], schema.labels.n_labels),
        numbers,
        _halves([e.floats for e in entries], schema.n_floats),
    )


def joined(tables: Sequence[Table]) -> Table:
    """Tables one after the other."""
    if len(tables) == 1:
        return tables[0]
    starts = [t.names.starts[:-1] for t in tables]
    offsets = np.cumsum([0] + [int(t.names.starts[-1]) for t in tables])
    names = Names(
        np.concatenate([t.names.text for t in tables]),
        np.concatenate([*(s + o for s, o in zip(starts, offsets[:-1], strict=True)), offsets[-1:]]),
    )
    return Table(
        names, np.concatenate([t.codes for t in tables]), np.concatenate([t.colours for t in tables]),
        np.concatenate([t.labels for t in tables]), np.concatenate([t.numbers for t in tables], axis=1),
        np.concatenate([t.floats for t in tables]),
    )  # fmt: skip


def _halves(rows: Sequence[npt.NDArray[np.float32] | None], n_floats: int) -> Halves:
    kept = np.zeros((len(rows), n_floats), np.float16)
    for row, floats in enumerate(rows if n_floats else ()):
        if floats is None or floats.shape != (n_floats,):
            raise WidthMismatch(f"the index keeps {n_floats} float features, row {row} has {floats}")
        if not np.isfinite(floats).all():
            raise BadFeatures(f"the float features of row {row} are not finite")
        kept[row] = floats
    return kept.view(np.uint16)


@dataclass(frozen=True, eq=False)
class Layer:
    """Rows that kernels can scan; all arrays are read-only.

    order: uint32, rows by sku, perhaps without dead ones.  ties: (N,) uint32, its inverse.  sorted_numbers: (M, N) uint32, rows
    by each number, or (M, 0) where the layer is small.  runs: (C + 1,) first rows of the clusters.  centres: (C, W).
    radii: (C,) bits from a centre to its farthest row.
    """

    table: Table
    order: npt.NDArray[np.uint32]
    ties: npt.NDArray[np.uint32]
    postings: Postings
    sorted_numbers: npt.NDArray[np.uint32]
    runs: Rows
    centres: Codes
    radii: Rows

    def __len__(self) -> int:
        return len(self.ties)

    @cached_property
    def n_blocks(self) -> int:
        """Words of a bitmap of all rows."""
        return -(-len(self) // 64)

    @cached_property
    def codes(self) -> Codes:
        """All codes one after the other; (N * W,)."""
        return self.table.codes.reshape(-1)

    @cached_property
    def colours(self) -> Histogram:
        """All histograms one after the other; (N * 64,)."""
        return self.table.colours.reshape(-1)

    @cached_property
    def flat_centres(self) -> Codes:
        """All centres one after the other; (C * W,)."""
        return self.centres.reshape(-1)

    @cached_property
    def bounds(self) -> Rows:
        """The first row of each cluster and the one after its last; (C, 2)."""
        return np.stack([self.runs[:-1], self.runs[1:]], axis=1)

    def skus(self, rows: Rows) -> list[str]:
        """The skus of some rows."""
        names, text, ends = self.table.names, np.empty(24 * len(rows), np.uint8), np.empty(len(rows), np.int64)
        length = bitmaps.gather_names(names.text, names.starts, rows, text, ends)
        if length > len(text):
            text = np.empty(length, np.uint8)
            bitmaps.gather_names(names.text, names.starts, rows, text, ends)
        said, places = text[:length].tobytes(), ends.tolist()
        bounds = zip([0, *places], places, strict=False)
        if not said.isascii():
            return [said[a:b].decode() for a, b in bounds]
        whole = said.decode()  # slices of a string are quicker than decoding each
        return [whole[a:b] for a, b in bounds]

    def rows_named(self, names: Names) -> Rows:
        """The rows of names, -1 where there is none."""
        rows = np.empty(len(names), np.int64)
        mine = self.table.names
        bitmaps.find_names(mine.text, mine.starts, self.order, names.text, names.starts, rows)
        return rows

    def label_ids(self, row: int) -> tuple[int, ...]:
        """The labels of a row, ascending."""
        held = self.table.labels[row].tolist()
        return tuple(v * 64 + b for v, word in enumerate(held) for b in range(64) if word >> b & 1)

    def entry(self, row: int, schema: Schema) -> Entry:
        """A row as it was written."""
        numbers = {name: int(self.table.numbers[m, row]) for m, name in enumerate(schema.numbers)}
        price = numbers.pop("price", NO_NUMBER)
        return Entry(
            self.skus(np.array([row]))[0], self.table.codes[row], self.table.colours[row], self.label_ids(row),
            None if price == NO_NUMBER else price, tuple((n, v) for n, v in numbers.items() if v != NO_NUMBER),
            self.table.floats[row].view(np.float16).astype(np.float32) if schema.n_floats else None,
        )  # fmt: skip
