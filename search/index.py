"""The index: a folder with the newest generations of one segment, read by many processes, written by one.

CURRENT names the newest segment; a batch of changes becomes a new segment and then, by one rename, the current one. Readers
look at CURRENT before every search, so a change is visible everywhere as soon as the batch returns.

Shapes in this module:
    N  products      L  labels of the vocabulary
"""

import fcntl
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attributes.vocabulary import Vocabulary
from search import ranking
from search.colour import TOTAL
from search.features import Features
from search.ranking import DEFAULT, Preference, Weights
from search.segment import CorruptSegment, Entry, Segment, open_segment, sync_folder, write_segment
from search.where import Where

N_KEPT = 8  # generations that stay readable, so that paging survives corrections made meanwhile


class GenerationGone(LookupError):
    """A page of a generation that is no longer kept."""


class UnknownProduct(LookupError):
    """A sku that is not in the index."""


class IndexLocked(RuntimeError):
    """A second writer."""


class IndexOutdated(ValueError):
    """An index of other weights or another vocabulary; it must be rebuilt."""


class Why(NamedTuple):
    """Why a product is where it is: parts of the distance (each 0 to 1), the preferences shared and missing, weights."""

    code: float
    colour: float
    labels: float
    shared: tuple[int, ...]
    missing: tuple[int, ...]
    weights: Weights


class Hit(NamedTuple):
    """One result. breaks: the filters that it does not match, as written; empty but for relaxed results."""

    sku: str
    distance: float
    why: Why | None
    breaks: tuple[str, ...] = ()


class Answer(NamedTuple):
    """What a search found. total and facets are exact, whatever limit and offset."""

    generation: int
    total: int
    facets: dict[str, dict[str, int]]
    hits: list[Hit]
    relaxed: list[Hit]


class Query(NamedTuple):
    """What is searched: features (None orders by sku), preferences in the distance, filters, and the page.

    among: row order is theirs and only these skus count (words, other sort orders); without features their order stays.
    """

    features: Features | None = None
    preferences: Sequence[Preference] = ()
    where: Where = Where()
    limit: int = 24
    offset: int = 0
    generation: int | None = None
    among: Sequence[str] | None = None
    without: frozenset[str] = frozenset()
    weights: Weights = DEFAULT


class Index:
    """The reading side."""

    def __init__(self, folder: Path, vocabulary: Vocabulary, n_bits: int, features: str) -> None:
        self.folder, self.vocabulary, self.n_bits, self.features = folder, vocabulary, n_bits, features
        self._opened: dict[str, Segment] = {}

    def segment(self, generation: int | None = None) -> Segment:
        """The newest segment, or that of a generation. Raises GenerationGone, CorruptSegment, IndexOutdated."""
        name = current(self.folder) if generation is None else segment_name(generation)
        if name is None:
            return _empty(self.vocabulary, self.n_bits, self.features)
        if name not in self._opened:
            if generation is not None and not (self.folder / name).is_file():
                raise GenerationGone(f"generation {generation} is gone; search again")
            segment = open_segment(self.folder / name)
            if (segment.features, segment.vocabulary) != (self.features, self.vocabulary.fingerprint):
                raise IndexOutdated(
                    f"the index holds {segment.features} for vocabulary {segment.vocabulary}, the shop now reads "
                    f"{self.features} for {self.vocabulary.fingerprint}; run manage.py index --rebuild"
                )
            while len(self._opened) >= N_KEPT:  # the oldest mapping goes; its file may be gone already
                del self._opened[next(iter(self._opened))]
            self._opened[name] = segment
        return self._opened[name]

    def __len__(self) -> int:
        return len(self.segment())

    def entry(self, sku: str) -> Entry:
        """A product as it is indexed. Raises UnknownProduct."""
        segment = self.segment()
        if sku not in segment.row_of:
            raise UnknownProduct(f"no product {sku!r} in the index")
        return segment.entry(segment.row_of[sku])

    def search(self, query: Query) -> Answer:
        """Return the products nearest to the query among those that match its filters; ties go to the lower sku."""
        segment = self.segment(query.generation)
        eligible = self._eligible(segment, query)
        broken = self._broken(segment, query.where)
        matching = eligible & (sum(broken.values(), np.zeros(len(segment), np.int64)) == 0)
        order = self._order(segment, query)
        hits = self._page(segment, query, order[matching[order]], query.offset, query.limit, {})
        missing = query.limit - max(0, int(matching.sum()) - query.offset)
        relaxed = []
        if missing > 0 and query.where.groups():
            near = self._near_misses(order, eligible, broken)
            relaxed = self._page(segment, query, near, 0, missing, broken)
        return Answer(
            segment.generation, int(matching.sum()), self._facets(segment, query, eligible, broken), hits, relaxed
        )

    def mask(self, segment: Segment, where: Where) -> npt.NDArray[np.bool_]:
        """Which products match a filter; (N,)."""
        broken = self._broken(segment, where).values()
        return np.asarray(sum(broken, np.zeros(len(segment), np.int64)) == 0)

    def _eligible(self, segment: Segment, query: Query) -> npt.NDArray[np.bool_]:
        eligible = np.full(len(segment), query.among is None)
        eligible[[segment.row_of[s] for s in query.among or () if s in segment.row_of]] = True
        eligible[[segment.row_of[s] for s in query.without if s in segment.row_of]] = False
        return eligible

    def _broken(self, segment: Segment, where: Where) -> dict[str, npt.NDArray[np.bool_]]:
        """Per filtered group, which products break its filters."""
        return {group: ~self._holds(segment, where, group) for group in where.groups()}

    def _holds(self, segment: Segment, where: Where, group: str) -> npt.NDArray[np.bool_]:
        if group == "price":
            low = -1 if where.price_from is None else where.price_from
            high = np.iinfo(np.int64).max if where.price_to is None else where.price_to
            priced = segment.prices >= 0
            return np.asarray(priced & (segment.prices >= low) & (segment.prices <= high))
        ids = self.vocabulary.label_ids
        holds = np.full(len(segment), group not in where.wanted)
        for values in where.wanted.get(group, ()):
            rows = segment.rows(ids[group, values[0]])
            for value in values[1:]:
                rows = np.intersect1d(rows, segment.rows(ids[group, value]), assume_unique=True)
            holds[rows] = True
        for value in where.unwanted.get(group, ()):
            holds[segment.rows(ids[group, value])] = False
        return holds

    def _order(self, segment: Segment, query: Query) -> npt.NDArray[np.int64]:
        """All rows, nearest first; by the query's own order, or by sku, where there is nothing to compare with."""
        if query.features is None:
            if query.among is None:
                return np.arange(len(segment))
            return np.array([segment.row_of[s] for s in query.among if s in segment.row_of], np.int64)
        found = ranking.parts(segment, *query.features, query.preferences, self.vocabulary)
        return np.argsort(ranking.combine(found, self.n_bits, query.weights), kind="stable")

    def _near_misses(
        self, order: npt.NDArray[np.int64], eligible: npt.NDArray[np.bool_], broken: dict[str, npt.NDArray[np.bool_]]
    ) -> npt.NDArray[np.int64]:
        """Rows that break a filter, fewest first, then nearest."""
        n_broken = sum(broken.values(), np.zeros(len(eligible), np.int64))
        rows = order[(n_broken[order] > 0) & eligible[order]]
        return np.asarray(rows[np.argsort(n_broken[rows], kind="stable")])

    def _page(
        self, segment: Segment, query: Query, rows: npt.NDArray[np.int64], offset: int, limit: int,
        broken: dict[str, npt.NDArray[np.bool_]],
    ) -> list[Hit]:  # fmt: skip
        page = rows[offset : offset + limit]
        if query.features is None:
            return [
                Hit(segment.skus[r], 0.0, None, tuple(query.where.spelled(g) for g, b in broken.items() if b[r]))
                for r in page
            ]
        few = _rows_of(segment, page)
        found = ranking.parts(few, *query.features, query.preferences, self.vocabulary)
        distances = ranking.combine(found, self.n_bits, query.weights) / ranking.scale(self.n_bits, query.weights)
        return [
            Hit(
                segment.skus[r], float(distances[i]), self._why(few, found, i, query),
                tuple(query.where.spelled(g) for g, b in broken.items() if b[r]),
            )
            for i, r in enumerate(page)
        ]  # fmt: skip

    def _why(self, few: Segment, found: ranking.Parts, i: int, query: Query) -> Why:
        preferences = query.preferences
        shared = tuple(p.label for p in preferences if few.has[i, p.label])
        speaks = {g for g in self.vocabulary.groups if ranking.speaking(few, self.vocabulary, g)[i]} | {"category"}
        missing = tuple(
            p.label for p in preferences if not few.has[i, p.label] and self.vocabulary.labels[p.label][0] in speaks
        )
        return Why(
            float(found.code[i]) / self.n_bits, float(found.colour[i]) / TOTAL,
            float(found.labels[i]) / ranking.SHARES, shared, missing, query.weights,
        )  # fmt: skip

    def _facets(
        self, segment: Segment, query: Query, eligible: npt.NDArray[np.bool_], broken: dict[str, npt.NDArray[np.bool_]]
    ) -> dict[str, dict[str, int]]:
        """Exact counts per group over the products that match every filter on the other groups."""
        facets = {}
        for group in ("category", *self.vocabulary.groups):
            others = sum((b for g, b in broken.items() if g != group), np.zeros(len(segment), np.int64))
            start, stop = ranking.label_range(self.vocabulary, group)
            counts = segment.has[eligible & (others == 0), start:stop].sum(0, dtype=np.int64)
            facets[group] = {value: int(n) for value, n in zip(self.vocabulary.values(group), counts, strict=True)}
        return facets


class IndexWriter:
    """The writing side; one process at a time. Use as a context manager."""

    def __init__(self, folder: Path, vocabulary: Vocabulary, n_bits: int, features: str) -> None:
        self.folder, self.vocabulary, self.n_bits, self.features = folder, vocabulary, n_bits, features

    def __enter__(self) -> "IndexWriter":
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / "LOCK").open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as wrong:
            self._lock.seek(0)
            holder = self._lock.read().strip()
            self._lock.close()
            raise IndexLocked(f"process {holder} is writing to the index already") from wrong
        self._lock.truncate(0)
        self._lock.write(str(os.getpid()))
        self._lock.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, wrong: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.close()

    def apply(self, upserts: Iterable[Entry], deletes: Iterable[str] = (), fresh: bool = False) -> int:
        """Add or replace products and delete others, as one durable step; returns the new generation.

        fresh: start from nothing. Raises CorruptSegment and IndexOutdated when there is nothing sound to build on.
        """
        name = current(self.folder)
        generation = generation_of(name) + 1 if name else 1
        entries: dict[str, Entry] = {}
        if name is not None and not fresh:
            segment = open_segment(self.folder / name)
            if (segment.features, segment.vocabulary) != (self.features, self.vocabulary.fingerprint):
                raise IndexOutdated(f"the index holds {segment.features}; run manage.py index --rebuild")
            entries = {sku: segment.entry(row) for sku, row in segment.row_of.items()}
        for sku in deletes:
            entries.pop(sku, None)
        entries.update((e.sku, e) for e in upserts)
        write_segment(
            self.folder / segment_name(generation), list(entries.values()), generation, self.features,
            self.vocabulary.fingerprint, len(self.vocabulary.labels), -(-self.n_bits // 64),
        )  # fmt: skip
        aside = self.folder / "CURRENT.tmp"
        with aside.open("w") as opened:
            opened.write(segment_name(generation) + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        aside.rename(self.folder / "CURRENT")
        sync_folder(self.folder)
        for file in self.folder.glob("generation-*.segment"):
            if generation_of(file.name) <= generation - N_KEPT:
                file.unlink()
        return generation


def segment_name(generation: int) -> str:
    """The file of a generation."""
    return f"generation-{generation:09d}.segment"


def generation_of(name: str) -> int:
    """The generation that a file name says. Raises CorruptSegment."""
    digits = name.removeprefix("generation-").removesuffix(".segment")
    if not digits.isdigit():
        raise CorruptSegment(f"CURRENT names {name!r}, which is no segment")
    return int(digits)


def current(folder: Path) -> str | None:
    """The file name of the newest generation; None while nothing was ever indexed."""
    try:
        return (folder / "CURRENT").read_text().strip()
    except FileNotFoundError:
        return None


def _rows_of(segment: Segment, rows: npt.NDArray[np.int64]) -> Segment:
    """A few rows of a segment, as a segment for ranking only."""
    return Segment(
        segment.generation, segment.features, segment.vocabulary, segment.codes[rows], segment.colours[rows],
        segment.prices[rows], segment.has[rows], segment.postings, segment.posting_starts, segment.names,
        segment.name_starts,
    )  # fmt: skip


def _empty(vocabulary: Vocabulary, n_bits: int, features: str) -> Segment:
    n_labels = len(vocabulary.labels)
    return Segment(
        0, features, vocabulary.fingerprint, np.zeros((0, -(-n_bits // 64)), np.uint64),
        np.zeros((0, 64), np.uint8), np.zeros(0, np.int64), np.zeros((0, n_labels), np.uint8),
        np.zeros(0, np.int32), np.zeros(n_labels + 1, np.int64), np.zeros(0, np.uint8), np.zeros(1, np.int64),
    )  # fmt: skip
