"""The reading side of the index: how a query is answered.

A query's filters become a bitmap of the rows that match (`filtering`), the nearest of them are found (`nearest`), counts come
from the same bitmaps (`facets`), and near misses fill what is missing. What is searched is a `Snapshot` of one generation: a
folder of immutable segments and a journal, followed without reopening (`following`).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from search import bitmaps, fine, ranking
from search.approximate import probed
from search.codes import WidthMismatch
from search.colour import N_BINS, TOTAL
from search.epoch import Snapshot, View, find
from search.facets import facets
from search.features import Features
from search.filtering import Filter, Mask, broken_by
from search.following import Follower
from search.layer import Entry, Schema, Table
from search.nearest import Found, Part, Scanner, Wanted, part_of, wanted
from search.postings import Bits, Rows
from search.query import Answer, Explanation, Hit, Query, Why
from search.where import Where


class UnknownProduct(LookupError):
    """A sku that is not in the index."""


class Index:
    """The reading side; safe to use from many threads and processes while one writer writes."""

    def __init__(self, folder: Path, schema: Schema, threads: int = 1) -> None:
        self.folder, self.schema = folder, schema
        self._follower = Follower(folder, schema)
        self._scanner = Scanner(schema, threads)

    def snapshot(self, generation: int | None = None) -> Snapshot:
        """The newest generation, or a given one. Raises GenerationGone, CorruptIndex, IndexOutdated, OldFormat."""
        return self._follower.snapshot(generation)

    def reopen(self) -> None:
        """Forget what is open: for a folder that was exchanged behind the index's back."""
        self._follower = Follower(self.folder, self.schema)

    def __len__(self) -> int:
        return len(self.snapshot())

    def __contains__(self, sku: str) -> bool:
        return self.snapshot().find([sku])[0] is not None

    def entry(self, sku: str) -> Entry:
        """A product as it is indexed. Raises UnknownProduct."""
        entry = self.snapshot().entry(sku)
        if entry is None:
            raise UnknownProduct(f"no product {sku!r} in the index")
        return entry

    def count(self, where: Where) -> int:
        """How many products match."""
        filters = Filter(where, self.schema)
        return sum(filters.matching(v).n for v in self.snapshot().views)

    def search(self, query: Query) -> Answer:
        """Return the products nearest to the query among those that match its filters; ties go to the lower sku.

        Raises WidthMismatch, BadFeatures, BadPage, BadWeights, and what `snapshot` raises.
        """
        self._check(query)
        snapshot = self.snapshot(query.generation)
        views = _eligible(snapshot, query)
        filters = Filter(query.where, self.schema)
        masks = [filters.matching(v) for v in views]
        total = sum(m.n for m in masks)
        found, n_looked_at = self._first(views, masks, query, min(total, query.offset + query.limit), total)
        page = found.page(query.offset)
        relaxed: list[Hit] = []
        missing = query.limit - max(0, total - query.offset)
        if query.relax and missing > 0 and filters.groups:
            relaxed = self._near_misses(views, filters, query, missing)
        return Answer(
            generation=snapshot.generation, total=total, skus=_skus(views, page), distances=page.distances.tolist(),
            explained=lambda: self._explained(views, page, query),
            facets=facets(views, masks, query.where, self.schema) if query.facets else {},
            relaxed=relaxed, looked_at=n_looked_at / total if total else 1.0,
        )  # fmt: skip

    def similar(self, sku: str, query: Query) -> Answer:
        """The products nearest to one that is indexed, itself left out; features and wishes are the product's own.

        Raises UnknownProduct, and what `search` raises.
        """
        entry = self.entry(sku)
        wishes = query.preferences or [ranking.Preference(label, 1.0) for label in entry.labels]
        return self.search(
            query._replace(
                features=Features(entry.code, entry.colour), preferences=wishes, without=query.without | {sku}
            )
        )

    def explain(self, query: Query, sku: str) -> Explanation:
        """Say why a product is where it is in the results of a query, or why it is not there.

        The rank is that of the combined distance; probes and the fine step are left aside.
        """
        self._check(query)
        query, snapshot = query._replace(fine=None, nprobe=None), self.snapshot(query.generation)
        place = snapshot.find([sku])[0]
        if place is None:
            return Explanation(sku, False, False, (), None, None)
        views = _eligible(snapshot, query)
        left_out = not _is_set(views[place[0]].alive, place[1])
        one = Found(np.array([place[0]]), np.array([place[1]]), np.zeros(1))
        hit = self._explained(list(snapshot.views), one, query)[0]
        if left_out or hit.breaks or query.features is None:
            return Explanation(sku, True, left_out, hit.breaks, None, hit)
        filters = Filter(query.where, self.schema)
        masks = [filters.matching(v) for v in views]
        return Explanation(sku, True, False, (), self._rank(views, masks, query, hit), hit)

    def _check(self, query: Query) -> None:
        query.check()
        if query.features is not None:
            code, colour = query.features
            if code.shape != (self.schema.n_words,):
                raise WidthMismatch(f"the index has codes of {self.schema.n_words} words, the query has {code.size}")
            if colour.shape != (N_BINS,):
                raise WidthMismatch(f"histograms have {N_BINS} bins, the query has {colour.size}")
        if query.fine is not None:
            fine.check(query.fine, self.schema)

    def _first(
        self, views: Sequence[View], masks: Sequence[Mask], query: Query, k: int, total: int
    ) -> tuple[Found, int]:
        """The first k matching rows in the query's order, and how many rows were compared for it."""
        if query.features is None:
            return (_in_given_order if query.among is not None else _by_sku)(views, masks, query, k), total
        weights = ranking.CODE_ALONE if query.fine else query.weights
        sought = wanted(query.features, query.preferences, weights, self.schema)
        parts = [part_of(v, m, sought) for v, m in zip(views, masks, strict=True)]
        looked_at = total
        if query.nprobe is not None:
            parts, looked_at = self._probed(parts, sought, query.nprobe, k)
        if query.fine is not None:
            pool = self._scanner.nearest(
                parts, sought, min(looked_at, query.fine.size), fine.bound(query.fine, sought, self.schema)
            )
            return fine.ranked(views, pool, query.fine).page(0, k), looked_at
        return self._scanner.nearest(parts, sought, min(k, looked_at)), looked_at

    def _probed(self, parts: Sequence[Part], sought: Wanted, nprobe: int, k: int) -> tuple[list[Part], int]:
        n_clusters = max(sum(len(p.view.layer.centres) for p in parts), 1)
        probes = [
            probed(p, sought, self.schema, -(-nprobe * len(p.view.layer.centres) // n_clusters), k) for p in parts
        ]
        return [part for part, _ in probes], sum(n for _, n in probes)

    def _near_misses(self, views: Sequence[View], filters: Filter, query: Query, missing: int) -> list[Hit]:
        """Products that break a filter, fewest first, then nearest, each with what it breaks."""
        levels = [_by_number_broken(v, list(broken_by(v, filters).values())) for v in views]
        hits: list[Hit] = []
        for level in range(1, len(filters.groups) + 1):
            masks = [Mask(0, by_number[level]) for by_number in levels]
            k = min(missing - len(hits), sum(m.n for m in masks))
            if k:
                found, _ = self._first(views, masks, query._replace(nprobe=None, fine=None), k, k)
                hits += self._explained(views, found, query)
        return hits

    def _explained(self, views: Sequence[View], found: Found, query: Query) -> list[Hit]:
        """Hits with their reasons, from the definition of the distance."""
        hits: list[Hit | None] = [None] * len(found.rows)
        for at, view in enumerate(views):
            places = np.flatnonzero(found.views == at)
            if len(places):
                rows = found.rows[places]
                breaks = self._breaks(view, rows, query.where)
                for i, hit in zip(places.tolist(), self._reasons(view, rows, query, breaks), strict=True):
                    fine_distance = query.fine is not None and not hit.breaks
                    hits[i] = hit._replace(distance=float(found.distances[i])) if fine_distance else hit
        return [h for h in hits if h is not None]

    def _reasons(self, view: View, rows: Rows, query: Query, breaks: Sequence[tuple[str, ...]]) -> list[Hit]:
        skus = view.layer.skus(rows)
        if query.features is None:
            return [Hit(sku, 0.0, None, broken) for sku, broken in zip(skus, breaks, strict=True)]
        few, vocabulary, n_bits = view.layer.table.take(rows), self.schema.vocabulary, self.schema.n_bits
        parts = ranking.parts(few, query.features, query.preferences, vocabulary)
        distances = ranking.combine(parts, n_bits, query.weights) / ranking.scale(n_bits, query.weights)
        wishes = [(p.label, vocabulary.labels[p.label][0]) for p in query.preferences]
        held = {label: ranking.has(few.labels, label) for label, _ in wishes}
        speaks = {group: ranking.speaking(few.labels, vocabulary, group) for _, group in wishes}
        return [
            Hit(
                sku, float(distances[i]),
                Why(
                    float(parts.code[i]) / n_bits, float(parts.colour[i]) / TOTAL,
                    float(parts.labels[i]) / ranking.SHARES, tuple(p for p, _ in wishes if held[p][i]),
                    tuple(p for p, g in wishes if speaks[g][i] and not held[p][i]), query.weights,
                ),
                broken,
            )
            for i, (sku, broken) in enumerate(zip(skus, breaks, strict=True))
        ]  # fmt: skip

    def _breaks(self, view: View, rows: Rows, where: Where) -> list[tuple[str, ...]]:
        broken = broken_by(view, Filter(where, self.schema))
        return [tuple(where.spelled(g) for g, bits in broken.items() if _is_set(bits, row)) for row in rows.tolist()]

    def _rank(self, views: Sequence[View], masks: Sequence[Mask], query: Query, hit: Hit) -> int:
        """How many matches come before a hit, by the definition of the distance, chunk by chunk."""
        assert query.features is not None
        limit, before = round(hit.distance * ranking.scale(self.schema.n_bits, query.weights)), 0
        for view, mask in zip(views, masks, strict=True):
            rows = mask.rows()
            for chunk in np.array_split(rows, len(rows) // 100_000 + 1):
                few: Table = view.layer.table.take(chunk)
                parts = ranking.parts(few, query.features, query.preferences, self.schema.vocabulary)
                distances = ranking.combine(parts, self.schema.n_bits, query.weights)
                before += int((distances < limit).sum())
                equal = chunk[distances == limit]
                before += sum(sku < hit.sku for sku in view.layer.skus(equal))
        return before


def _eligible(snapshot: Snapshot, query: Query) -> list[View]:
    """The views, restricted to the skus that the query includes and does not exclude."""
    views = list(snapshot.views)
    if query.among is None and not query.without:
        return views
    alive = [v.alive.copy() for v in views]
    if query.among is not None:
        alive = [np.zeros_like(a) for a in alive]
        for bits, rows in zip(alive, _rows_by_view(snapshot, query.among), strict=True):
            bitmaps.set_rows(bits, 0, rows)
    for bits, rows in zip(alive, _rows_by_view(snapshot, sorted(query.without)), strict=True):
        bitmaps.clear_rows(bits, 0, rows)
    return [View(v.layer, a, int(bitmaps.count_bits(a))) for v, a in zip(views, alive, strict=True)]


def _rows_by_view(snapshot: Snapshot, skus: Sequence[str]) -> list[Rows]:
    """Per view, the rows of those products that are in it."""
    rows: list[list[int]] = [[] for _ in snapshot.views]
    for place in snapshot.find(skus):
        if place is not None:
            rows[place[0]].append(place[1])
    return [np.array(r, np.int64) for r in rows]


def _by_sku(views: Sequence[View], masks: Sequence[Mask], query: Query, k: int) -> Found:
    """The first k matches by sku."""
    found: list[tuple[str, int, int]] = []
    for at, (view, mask) in enumerate(zip(views, masks, strict=True)):
        rows = np.empty(k, np.int64)
        rows = rows[: bitmaps.first_in_order(view.layer.order, mask.bits, mask.first, k, rows)]
        found += zip(view.layer.skus(rows), [at] * len(rows), rows.tolist(), strict=True)
    return _found([(at, row) for _, at, row in sorted(found)[:k]])


def _in_given_order(views: Sequence[View], masks: Sequence[Mask], query: Query, k: int) -> Found:
    """The first k matches in the order of `among`."""
    bits = [m.widened(0, v.layer.n_blocks) for v, m in zip(views, masks, strict=True)]
    places = find(views, query.among or ())
    return _found([p for p in places if p is not None and _is_set(bits[p[0]], p[1])][:k])


def _found(places: Sequence[tuple[int, int]]) -> Found:
    pairs = np.array(places, np.int64).reshape(-1, 2)
    return Found(pairs[:, 0], pairs[:, 1], np.zeros(len(pairs)))


def _skus(views: Sequence[View], found: Found) -> list[str]:
    first = found.views[0] if len(found.views) else 0
    if len(views) == 1 or (found.views == first).all():
        return views[first].layer.skus(found.rows) if len(found.rows) else []
    skus = [""] * len(found.rows)
    for at, view in enumerate(views):
        places = np.flatnonzero(found.views == at)
        for i, sku in zip(places.tolist(), view.layer.skus(found.rows[places]), strict=True):
            skus[i] = sku
    return skus


def _by_number_broken(view: View, broken: Sequence[Bits]) -> list[Bits]:
    """Per number of filters, the living rows that break exactly so many."""
    levels = [view.alive.copy()] + [np.zeros_like(view.alive) for _ in broken]
    for bits in broken:
        for level in reversed(range(1, len(levels))):
            levels[level] = (levels[level] & ~bits) | (levels[level - 1] & bits)
        levels[0] = levels[0] & ~bits
    return levels


def _is_set(bits: Bits, row: int) -> bool:
    return bool(bits[row >> 6] >> np.uint64(row & 63) & np.uint64(1))
