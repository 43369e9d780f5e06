"""An epoch, opened: its segments, what the journal has changed since, and which rows are alive.

Shapes in this module:
    B  words of a bitmap, 64 rows each
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from search import bitmaps, changes
from search.changes import Changes
from search.delta import Delta
from search.journal import Acknowledged, JournalReader
from search.layer import Entry, Layer, Names, Schema, Table, names_of
from search.manifest import Manifest
from search.postings import Bits, Rows, rows_of
from search.segment import Segment, open_segment


class View(NamedTuple):
    """A layer and its living rows.  alive: (B,) bits; n: how many."""

    layer: Layer
    alive: Bits
    n: int


class Snapshot:
    """One generation of the index: immutable, safe to search from many threads."""

    def __init__(self, generation: int, schema: Schema, views: Sequence[View]) -> None:
        self.generation, self.schema, self.views = generation, schema, tuple(v for v in views if v.n)

    def __len__(self) -> int:
        return self.n

    @cached_property
    def n(self) -> int:
        """Living products."""
        return sum(v.n for v in self.views)

    def find(self, skus: Sequence[str]) -> list[tuple[int, int] | None]:
        """Where products are, as (view, row); None for those that are not in the index."""
        return find(self.views, skus)

    def entry(self, sku: str) -> Entry | None:
        """A product as it is indexed."""
        found = self.find([sku])[0]
        return None if found is None else self.views[found[0]].layer.entry(found[1], self.schema)

    def tables(self) -> list[Table]:
        """All living products, layer by layer."""
        return [v.layer.table.take(rows_of(v.alive)) for v in self.views]


def find(views: Sequence[View], skus: Sequence[str]) -> list[tuple[int, int] | None]:
    """Where living products are, as (view, row); None for the others."""
    found: list[tuple[int, int] | None] = [None] * len(skus)
    names = names_of(skus)
    for at, view in enumerate(views):
        rows = living(view.layer.rows_named(names), view.alive)
        for i in np.flatnonzero(rows >= 0).tolist():
            found[i] = (at, int(rows[i]))
    return found


class Epoch:
    """Follows one journal. Not for several threads at once; the snapshots it gives are."""

    def __init__(self, folder: Path, manifest: Manifest, schema: Schema, before: "Epoch | None" = None) -> None:
        self.manifest, self.schema = manifest, schema
        opened: dict[str, Segment] = {s.name: s for s in before.segments} if before is not None else {}
        self.segments: list[Segment] = [opened.get(name) or open_segment(folder / name) for name in manifest.segments]
        self._journal = JournalReader(folder / manifest.journal)
        self.delta = Delta(schema)
        self.generation = manifest.generation
        self.alive = self._alive_at_base(before)
        self.alive_at_base = list(self.alive)
        self._settled = (self.generation, self.alive)
        self._delta_alive = np.zeros(0, np.uint64)
        self.snapshot = self._publish()

    def _alive_at_base(self, before: "Epoch | None") -> list[Bits]:
        """Living rows before the journal: a product in a later segment, or a tombstone there, kills the one before."""
        n_kept = 0
        alive: list[Bits] = []
        if before is not None:
            n_before, (generation, settled) = len(before.segments), before._settled
            if (generation, self.manifest.segments[:n_before]) == (self.manifest.generation, before.manifest.segments):
                alive, n_kept = [a.copy() for a in settled], n_before
        alive += [all_rows(len(s)) for s in self.segments[n_kept:]]
        for later in range(max(n_kept, 1), len(self.segments)):
            segment = self.segments[later]
            for names in (segment.layer.table.names, segment.tombstones):
                for earlier in range(later):
                    bitmaps.clear_rows(alive[earlier], 0, self.segments[earlier].layer.rows_named(names))
        return alive

    def acknowledged(self) -> Acknowledged:
        """How far the journal is promised. Raises CorruptIndex."""
        return self._journal.acknowledged()

    def has_more(self) -> bool:
        """Whether the journal has grown."""
        return self._journal.has_more()

    def advance(self, until: int | None = None) -> Snapshot:
        """Apply what was acknowledged since, up to a generation, and return the snapshot of then. Raises CorruptIndex."""
        fresh = True
        for record in self._journal.records():
            if until is not None and record.generation > until:
                break
            if fresh:
                self.alive = [a.copy() for a in self.alive]
                self._delta_alive = self._delta_alive.copy()
                fresh = False
            self._apply(changes.from_bytes(record.body, f"{self.manifest.journal}, generation {record.generation}"))
            self.generation = record.generation
        if not fresh:
            self._settled = (self.generation, self.alive)
            self.snapshot = self._publish()
        return self.snapshot

    def _apply(self, batch: Changes) -> None:
        moved = self.gather(batch)
        for names in (batch.deletes, batch.relabelled, batch.puts.names):
            if len(names):
                self._kill(names)
        self.delta.deleted.update(batch.deletes.tolist())
        for table in (*moved, batch.puts):
            if len(table):
                first = len(self.delta)
                self.delta.append(table)
                grown = np.zeros(-(-len(self.delta) // 64), np.uint64)
                grown[: len(self._delta_alive)] = self._delta_alive
                bitmaps.set_rows(grown, 0, np.arange(first, len(self.delta)))
                self._delta_alive = grown

    def gather(self, batch: Changes) -> list[Table]:
        """The relabelled products as new rows: all but their labels as they were."""
        if not len(batch.relabelled):
            return []
        gathered = []
        for segment, alive in zip(self.segments, self.alive, strict=True):
            rows = living(segment.layer.rows_named(batch.relabelled), alive)
            mine = np.flatnonzero(rows >= 0)
            if len(mine):
                gathered.append(replace(segment.layer.table.take(rows[mine]), labels=batch.relabels[mine]))
        places = [self.delta.live.get(sku, -1) for sku in batch.relabelled.tolist()]
        mine = np.flatnonzero(np.array(places) >= 0)
        if len(mine):
            gathered.append(replace(self.delta.table(np.array(places)[mine]), labels=batch.relabels[mine]))
        return gathered

    def _kill(self, names: Names) -> None:
        for segment, alive in zip(self.segments, self.alive, strict=True):
            bitmaps.clear_rows(alive, 0, segment.layer.rows_named(names))
        bitmaps.clear_rows(self._delta_alive, 0, self.delta.kill(names.tolist()))

    def _publish(self) -> Snapshot:
        views = [View(s.layer, a, int(bitmaps.count_bits(a))) for s, a in zip(self.segments, self.alive, strict=True)]
        if self.delta.live:
            views.append(View(self.delta.layer(), self._delta_alive, len(self.delta.live)))
        return Snapshot(self.generation, self.schema, views)


def all_rows(n: int) -> Bits:
    """A bitmap of n rows, all set."""
    bits = np.full(-(-n // 64), 2**64 - 1, np.uint64)
    if n % 64:
        bits[-1] = np.uint64((1 << n % 64) - 1)
    return bits


def living(rows: Rows, alive: Bits) -> Rows:
    """The same rows, -1 for those that are dead or were -1."""
    known = np.maximum(rows, 0)
    lives = (alive[known >> 6] >> (known & 63).astype(np.uint64)) & np.uint64(1) if len(alive) else np.zeros(len(rows))
    return np.where((rows >= 0) & (lives != 0), rows, -1)
