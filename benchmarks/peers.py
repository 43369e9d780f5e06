"""Other engines, asked the same: each as its documentation would have it used, on one thread, filters built inside the clock.

Shapes in this module:
    N  products      W  64-bit words of a code
"""

import time
from collections.abc import Callable
from typing import Protocol

import duckdb
import faiss
import numpy as np
import numpy.typing as npt
import usearch.index

from benchmarks.questions import Question
from search.codes import Codes
from search.layer import Schema, Table
from search.postings import Rows
from search.ranking import has

TOO_LONG_S = 600  # a peer that needs longer to build is left out
Flags = npt.NDArray[np.bool_]


class Peer(Protocol):
    """Something that finds the k nearest; returns their distances in bits, nearest first."""

    def search(self, question: Question, k: int) -> Rows:
        """Answer a question that `can` answer exactly."""

    def can(self, question: Question) -> bool:
        """Whether it has an answer for such a question."""


def slow_matches(table: Table, question: Question) -> Flags:
    """Which products match, by the definition; (N,)."""
    matches = np.ones(len(table), np.bool_)
    for label in (*question.wanted, *([] if question.category is None else [question.category])):
        matches &= has(table.labels, label)
    for label in question.unwanted:
        matches &= ~has(table.labels, label)
    if question.price is not None:
        low, high = question.price
        matches &= (table.numbers[0] >= low) & (table.numbers[0] <= high)
    return matches


def slow_distances(table: Table, question: Question, k: int) -> Rows:
    """The k smallest distances, by the definition."""
    codes = table.codes[slow_matches(table, question)]
    return np.sort(np.bitwise_count(codes ^ question.features.code).sum(1, dtype=np.int64))[:k]


class Bitmaps:
    """One bitmap of bytes per label, ANDed as a selector is built."""

    def __init__(self, table: Table, schema: Schema) -> None:
        self.labels = [
            np.packbits(has(table.labels, label), bitorder="little") for label in range(schema.labels.n_labels)
        ]
        self.prices = table.numbers[0]

    def selector(self, question: Question, with_category: bool) -> faiss.IDSelector | None:
        """A selector for everything but, perhaps, the category; None where nothing is filtered."""
        wanted = [*question.wanted, *([question.category] if with_category and question.category is not None else [])]
        bits: npt.NDArray[np.uint8] | None = None
        for label in wanted:
            bits = self.labels[label] if bits is None else bits & self.labels[label]
        for label in question.unwanted:
            bits = ~self.labels[label] if bits is None else bits & ~self.labels[label]
        if question.price is not None:
            inside = (self.prices >= question.price[0]) & (self.prices <= question.price[1])
            packed = np.packbits(inside, bitorder="little")
            bits = packed if bits is None else bits & packed
        return None if bits is None else faiss.IDSelectorBitmap(bits)


class FaissFlat:
    """IndexBinaryFlat, filtered by IDSelectorBitmap."""

    def __init__(self, table: Table, schema: Schema) -> None:
        self._index = faiss.IndexBinaryFlat(table.codes.shape[1] * 64)
        self._index.add(table.codes.view(np.uint8))
        self._bitmaps = Bitmaps(table, schema)

    def search(self, question: Question, k: int) -> Rows:
        """Search all codes, passing over what the selector leaves out."""
        selector = self._bitmaps.selector(question, True)
        code = question.features.code[None].view(np.uint8)
        parameters = None if selector is None else faiss.SearchParameters(sel=selector)
        distances, ids = self._index.search(code, k, params=parameters)
        return np.asarray(distances[0][ids[0] >= 0].astype(np.int64))

    def can(self, question: Question) -> bool:
        """Everything."""
        return True


class FaissPerCategory:
    """One IndexBinaryFlat a category, and selectors in each category's own numbers."""

    def __init__(self, table: Table, schema: Schema) -> None:
        self._parts: dict[int, tuple[faiss.IndexBinaryFlat, Bitmaps]] = {}
        for category in range(len(schema.vocabulary.categories)):
            rows = np.flatnonzero(has(table.labels, category))
            if len(rows):
                part = table.take(rows)
                index = faiss.IndexBinaryFlat(table.codes.shape[1] * 64)
                index.add(part.codes.view(np.uint8))
                self._parts[category] = index, Bitmaps(part, schema)

    def search(self, question: Question, k: int) -> Rows:
        """Search the category's own index."""
        assert question.category is not None
        index, bitmaps = self._parts[question.category]
        selector = bitmaps.selector(question, False)
        parameters = None if selector is None else faiss.SearchParameters(sel=selector)
        distances, ids = index.search(question.features.code[None].view(np.uint8), k, params=parameters)
        return np.asarray(distances[0][ids[0] >= 0].astype(np.int64))

    def can(self, question: Question) -> bool:
        """Questions within a category."""
        return question.category is not None


class FaissIvf:
    """IndexBinaryIVF: approximate, no filters."""

    def __init__(self, table: Table, nprobe: int) -> None:
        n_lists, width = int(4 * len(table) ** 0.5), table.codes.shape[1] * 64
        self._quantizer = faiss.IndexBinaryFlat(width)
        self._index = faiss.IndexBinaryIVF(self._quantizer, width, n_lists)
        codes = table.codes.view(np.uint8)
        self._index.train(codes[: n_lists * 40])
        self._index.add(codes)
        self._index.nprobe = nprobe

    def search(self, question: Question, k: int) -> Rows:
        """Search the nearest lists."""
        distances, ids = self._index.search(question.features.code[None].view(np.uint8), k)
        return np.asarray(distances[0][ids[0] >= 0].astype(np.int64))

    def can(self, question: Question) -> bool:
        """Only unfiltered."""
        return not (question.category is not None or question.wanted or question.unwanted or question.price)


class FaissHnsw:
    """IndexBinaryHNSW: approximate, no filters."""

    search, can = FaissIvf.search, FaissIvf.can

    def __init__(self, table: Table, ef: int) -> None:
        self._index = faiss.IndexBinaryHNSW(table.codes.shape[1] * 64, 16)
        self._index.add(table.codes.view(np.uint8))
        self._index.hnsw.efSearch = ef


class UsearchExact:
    """usearch's exact search, no filters."""

    def __init__(self, table: Table) -> None:
        self._codes = table.codes.view(np.uint8)

    def search(self, question: Question, k: int) -> Rows:
        """Search all codes."""
        found = usearch.index.search(self._codes, question.features.code.view(np.uint8), k, "hamming", exact=True)
        return np.sort(found.distances.astype(np.int64))

    can = FaissIvf.can


class Numpy:
    """Bitmaps in numpy, codes gathered, counted and partitioned."""

    def __init__(self, table: Table, schema: Schema) -> None:
        self._codes, self._prices = table.codes, table.numbers[0]
        self._flags = {label: has(table.labels, label) for label in range(schema.labels.n_labels)}

    def search(self, question: Question, k: int) -> Rows:
        """Gather what matches, count, partition."""
        wanted = (*question.wanted, *([] if question.category is None else [question.category]))
        matches: Flags | None = None
        for label in wanted:
            matches = self._flags[label] if matches is None else matches & self._flags[label]
        for label in question.unwanted:
            matches = ~self._flags[label] if matches is None else matches & ~self._flags[label]
        if question.price is not None:
            inside = (self._prices >= question.price[0]) & (self._prices <= question.price[1])
            matches = inside if matches is None else matches & inside
        codes: Codes = self._codes if matches is None else self._codes[matches]
        distances = np.bitwise_count(codes ^ question.features.code).sum(1, dtype=np.int64)
        return np.sort(np.partition(distances, k - 1)[:k] if len(distances) > k else distances)

    def can(self, question: Question) -> bool:
        """Everything."""
        return True


class DuckDb:
    """A table with a column per word of the code and of the label set, ordered by the bits that differ."""

    def __init__(self, table: Table) -> None:
        self._connection = duckdb.connect(config={"threads": 1})
        columns = {f"c{w}": np.ascontiguousarray(table.codes[:, w]) for w in range(table.codes.shape[1])}
        columns |= {f"l{v}": np.ascontiguousarray(table.labels[:, v]) for v in range(table.labels.shape[1])}
        columns["price"] = table.numbers[0]
        self._connection.register("given", columns)
        self._connection.execute("create table products as select * from given")
        self._distance = " + ".join(f"bit_count(xor(c{w}, ?::ubigint))::integer" for w in range(table.codes.shape[1]))

    def search(self, question: Question, k: int) -> Rows:
        """One SQL statement."""
        wanted = (*question.wanted, *([] if question.category is None else [question.category]))
        tests = [f"(l{label >> 6} >> {label & 63}) & 1 = 1" for label in wanted]
        tests += [f"(l{label >> 6} >> {label & 63}) & 1 = 0" for label in question.unwanted]
        tests += [f"price between {question.price[0]} and {question.price[1]}"] if question.price else []
        where = f"where {' and '.join(tests)}" if tests else ""
        sql = f"select {self._distance} as d from products {where} order by d limit {k}"
        found = self._connection.execute(sql, [int(w) for w in question.features.code]).fetchnumpy()["d"]
        return np.asarray(found, np.int64)

    def can(self, question: Question) -> bool:
        """Everything."""
        return True


def built(name: str, make: Callable[[], Peer], log: Callable[[str], None]) -> Peer | None:
    """Build a peer and say how long it took; None where it took too long to be asked."""
    started = time.perf_counter()
    peer = make()
    took = time.perf_counter() - started
    log(f"{name} built in {took:.1f} s")
    return peer if took <= TOO_LONG_S else None
