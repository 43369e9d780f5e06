"""Products that changed since the last segment, in memory: rows are appended, never moved.

A layer made of a delta stays as it is while later rows are appended behind it: arrays are shared, what is beyond its rows is
hidden by the bitmap of living rows that every search uses.

Shapes in this module:
    N  rows so far      B  words of a bitmap, 64 rows each      L  labels and groups
"""

from collections.abc import Sequence

import numpy as np

from search.layer import Layer, Names, Schema, Table, empty_table, names_of
from search.packed import Array
from search.postings import Postings, Rows

FIRST_ROWS = 256


class Delta:
    """The growing rows of one journal. live: the row of each sku that has not been replaced or deleted since."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.live: dict[str, int] = {}
        self.deleted: set[str] = set()
        self._n, self._capacity = 0, FIRST_ROWS
        labels = schema.labels
        self._n_postings = labels.n_labels + len(labels.groups)
        group_of = np.zeros(labels.n_labels, np.int64)
        for place, (low, high) in enumerate(labels.groups.values()):
            group_of[low:high] = labels.n_labels + place
        self._group_of = group_of
        empty = empty_table(schema)
        self._columns = [_grown(a, self._capacity) for a in (empty.codes, empty.colours, empty.labels, empty.floats)]
        self._numbers = np.zeros((len(schema.numbers), self._capacity), np.int64)
        self._bits = np.zeros((self._n_postings, self._capacity // 64), np.uint64)
        self._text, self._starts = np.zeros(FIRST_ROWS * 16, np.uint8), np.zeros(self._capacity + 1, np.int64)
        self._sorted_names = np.zeros(0, "S1")
        self._order: Rows = np.zeros(0, np.int64)

    def __len__(self) -> int:
        return self._n

    def append(self, table: Table) -> None:
        """Add rows; the caller has killed older rows of the same skus."""
        n, first = len(table), self._n
        self._make_room(first + n)
        rows = np.arange(first, first + n)
        for column, new in zip(self._columns, (table.codes, table.colours, table.labels, table.floats), strict=True):
            column[rows] = new
        self._numbers[:, first : first + n] = table.numbers
        self._append_names(table.names)
        self._set_bits(table, rows)
        skus = table.names.tolist()
        self.live.update(zip(skus, rows.tolist(), strict=True))
        self.deleted.difference_update(skus)
        self._n += n

    def kill(self, skus: Sequence[str]) -> Rows:
        """Forget the living rows of skus, and return them."""
        rows = np.array([row for sku in skus if (row := self.live.pop(sku, -1)) >= 0], np.int64)
        kept = ~np.isin(self._order, rows)
        self._sorted_names, self._order = self._sorted_names[kept], self._order[kept]
        return rows

    @property
    def has_changes(self) -> bool:
        """Whether anything was put or deleted."""
        return bool(self._n or self.deleted)

    def living(self) -> Table:
        """The products that have not been replaced or deleted since."""
        return self.table(np.array(sorted(self.live.values()), np.int64))

    def table(self, rows: Rows) -> Table:
        """Some rows."""
        return self._whole().take(rows)

    def layer(self) -> Layer:
        """The rows so far, as they will stay."""
        n_blocks = -(-self._n // 64)
        stride = self._bits.shape[1]
        starts = np.arange(self._n_postings, dtype=np.int64) * stride
        table = np.stack([np.zeros_like(starts), np.zeros_like(starts), starts, starts + n_blocks], axis=1)
        ties = np.zeros(self._n, np.uint32)  # dead rows have no place in the order
        ties[self._order] = np.arange(len(self._order), dtype=np.uint32)
        postings = Postings(_frozen(table), _frozen(self._bits.reshape(-1)), _frozen(np.zeros(0, np.uint32)))
        return Layer(
            self._whole(), _frozen(self._order.astype(np.uint32)), _frozen(ties), postings,
            np.zeros((len(self.schema.numbers), 0), np.uint32), np.array([0, self._n]),
            np.zeros((0, self.schema.n_words), np.uint64), np.zeros(0, np.int64),
        )  # fmt: skip

    def _whole(self) -> Table:
        n = self._n
        codes, colours, labels, floats = (_frozen(c[:n]) for c in self._columns)
        starts = _frozen(self._starts[: n + 1])
        names = Names(_frozen(self._text[: starts[-1]]), starts)
        return Table(names, codes, colours, labels, _frozen(self._numbers[:, :n]), floats)

    def _make_room(self, n: int) -> None:
        while n > self._capacity:
            self._capacity *= 2
        if self._capacity > len(self._columns[0]):
            self._columns = [_grown(c, self._capacity) for c in self._columns]
            self._numbers = _grown(self._numbers.T, self._capacity).T.copy()
            self._bits = _grown(self._bits.T, self._capacity // 64).T.copy()
            self._starts = _grown(self._starts, self._capacity + 1)

    def _append_names(self, names: Names) -> None:
        first, end = self._n, int(self._starts[self._n])
        while end + len(names.text) > len(self._text):
            self._text = _grown(self._text, 2 * len(self._text))
        self._text[end : end + len(names.text)] = names.text
        self._starts[first + 1 : first + 1 + len(names)] = names.starts[1:] + end
        new = np.array([s.encode() for s in names.tolist()], "S") if len(names) else np.zeros(0, "S1")
        by_name = np.argsort(new, kind="stable")
        width = f"S{max(new.dtype.itemsize, self._sorted_names.dtype.itemsize)}"
        kept, added = self._sorted_names.astype(width, copy=False), new.astype(width, copy=False)[by_name]
        places = np.searchsorted(kept, added)
        self._sorted_names = np.insert(kept, places, added)
        self._order = np.insert(self._order, places, by_name + first)

    def _set_bits(self, table: Table, rows: Rows) -> None:
        held = np.unpackbits(np.ascontiguousarray(table.labels).view(np.uint8), axis=1, bitorder="little")
        which, label = np.nonzero(held)
        bit = np.uint64(1) << (rows[which] & 63).astype(np.uint64)
        word = rows[which] >> 6
        np.bitwise_or.at(self._bits, (label, word), bit)
        np.bitwise_or.at(self._bits, (self._group_of[label], word), bit)

    def tombstones(self) -> Names:
        """Skus that were deleted and have not come back."""
        return names_of(sorted(self.deleted))


def _grown(array: Array, n: int) -> Array:
    grown = np.zeros((n, *array.shape[1:]), array.dtype)
    grown[: len(array)] = array
    return grown


def _frozen(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view
