"""The writing side of the index: one process at a time, batches that are durable when the call returns.

A batch goes into the journal; when enough has gathered there it becomes a small segment, and small segments are merged into
larger ones in a thread of their own, so that neither a search nor the next batch waits for it.
"""

import fcntl
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType

from search.changes import Changes, to_bytes
from search.durable import Disk
from search.epoch import Epoch
from search.following import check_fits
from search.journal import JournalWriter, create_journal
from search.layer import Entry, Names, Schema, Table, joined, names_of, table_of
from search.manifest import Manifest, commit, epochs, forget_older, journal_name, read_current, segment_name
from search.packed import CorruptIndex, OldFormat
from search.postings import label_words, rows_of
from search.segment import write_segment

FLUSHED = 8192  # rows of the journal that become a segment: a reader that opens the index replays them
MANY = 5  # segments from which small ones are merged
RATIO = 4  # a segment is merged with the newer ones while it is less than so many times as large as they are together


class IndexLocked(RuntimeError):
    """A second writer."""


class IndexWriter:
    """The writing side; use as a context manager.

    disk: how files are written, for tests that cut the power.  flushed: rows of the journal that become a segment.
    """

    def __init__(self, folder: Path, schema: Schema, disk: Disk | None = None, flushed: int = FLUSHED) -> None:
        self.folder, self.schema, self.disk, self.flushed = folder, schema, disk or Disk(), flushed
        self._epoch: Epoch | None = None
        self._journal: JournalWriter | None = None
        self._changing = Lock()  # of manifest and journal: the merging thread commits too
        self._merging: Thread | None = None
        self._put_off: OSError | None = None  # why a segment could not be written; tried again with the next batch
        self._being_written: frozenset[str] = frozenset()

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
        self.wait()
        self._leave()
        self._lock.close()

    def apply(
        self, upserts: Iterable[Entry] | Table, deletes: Iterable[str] = (), fresh: bool = False,
        relabels: Mapping[str, Sequence[int]] | None = None,
    ) -> int:  # fmt: skip
        """Delete, relabel, then add or replace products, as one durable step; returns the new generation.

        fresh: start from nothing. Products to relabel that are not in the index are passed over. Raises CorruptIndex,
        OldFormat and IndexOutdated when there is nothing sound to build on; WidthMismatch, BadFeatures, RepeatedProduct;
        NoRoom and OSError when the disk is full, and then nothing has changed.
        """
        table = upserts if isinstance(upserts, Table) else table_of(_last_of_each(upserts), self.schema)
        batch = self._batch(table, names_of(deletes), relabels or {})
        with self._changing:
            if fresh:
                return self._begin_anew(table)
            epoch = self._opened()
            generation = epoch.generation + 1
            if len(table) >= self.flushed:
                self._write_large(epoch, batch, generation)
            else:
                self._journaled().append(to_bytes(batch), generation)
                epoch.advance()
                if len(epoch.delta) >= self.flushed:
                    self._flush_if_there_is_room(epoch)
        self._merge_when_many()
        return generation

    def compact(self) -> None:
        """Make one segment of everything, without the rows that are dead; searches go on. Raises NoRoom, OSError."""
        self.wait()
        with self._changing:
            epoch = self._opened()
            if epoch.delta.has_changes:
                epoch = self._flush(epoch)
        if len(epoch.segments) > 1 or any(len(s) > epoch.snapshot.n or len(s.tombstones) for s in epoch.segments):
            self._merge(0, len(epoch.segments))
            if self._put_off is not None:
                raise self._put_off

    def wait(self) -> None:
        """Return when no merge is going on."""
        if self._merging is not None:
            self._merging.join()

    def adopt(self, number: int, generation: int, segments: tuple[str, ...]) -> int:
        """Begin an epoch with segments that lie in the folder already (a restored backup); returns its generation."""
        self.wait()
        with self._changing:
            newer = max(generation, _last_generation(self.folder, self.schema)) + 1
            self._epoch = None
            self._begin(number, newer, segments)
        return newer

    def _batch(self, table: Table, deletes: Names, relabels: Mapping[str, Sequence[int]]) -> Changes:
        said = {*deletes.tolist(), *table.names.tolist()} if relabels else set()
        kept = {sku: labels for sku, labels in relabels.items() if sku not in said}
        words = label_words(list(kept.values()), self.schema.labels.n_labels)
        return Changes(deletes, names_of(kept), words, table)

    def _opened(self) -> Epoch:
        """The newest epoch; the first is made when there is none."""
        if self._epoch is None:
            manifest = read_current(self.folder)
            if manifest is None:
                self._begin(1, 0, ())
            else:
                check_fits(manifest, self.schema)
                self._follow(manifest)
        assert self._epoch is not None
        return self._epoch

    def _begin_anew(self, table: Table) -> int:
        """An epoch of nothing but these products; what was there before may be of other weights, or damaged."""
        generation = _last_generation(self.folder, self.schema) + 1
        number = max(epochs(self.folder), default=0) + 1
        self._epoch = None
        self._begin(number, generation, self._written(number, table, names_of([])))
        return generation

    def _written(self, number: int, table: Table, tombstones: Names) -> tuple[str, ...]:
        """The segment of an epoch's new products; none if there is nothing in it."""
        if not len(table) and not len(tombstones):
            return ()
        name = segment_name(number)
        write_segment(self.folder / name, table, tombstones, self.schema, self.disk)
        return (name,)

    def _begin(self, number: int, generation: int, segments: tuple[str, ...], journal: str = "") -> None:
        """Commit an epoch and follow it. journal: one that goes on; else a new one is made."""
        if not journal:
            journal = journal_name(number)
            create_journal(self.folder / journal, self.disk, generation)
        manifest = Manifest(
            number, generation, segments, journal, self.schema.features, self.schema.vocabulary.fingerprint,
            self.schema.n_bits,
        )  # fmt: skip
        try:
            commit(self.folder, self.disk, manifest)
            self._follow(manifest)
        except (OSError, CorruptIndex):
            self._leave()  # whether it was committed is read from the disk before anything is written again
            raise
        forget_older(self.folder, self.disk, manifest, self._being_written)

    def _leave(self) -> None:
        if self._journal is not None:
            self._journal.close()
        self._epoch = self._journal = None

    def _follow(self, manifest: Manifest) -> None:
        epoch = Epoch(self.folder, manifest, self.schema, self._epoch)
        epoch.advance()
        self._leave()
        self._epoch = epoch

    def _journaled(self) -> JournalWriter:
        assert self._epoch is not None
        if self._journal is None:
            path = self.folder / self._epoch.manifest.journal
            self._journal = JournalWriter(path, self.disk, self._epoch.acknowledged())
        return self._journal

    def _write_large(self, epoch: Epoch, batch: Changes, generation: int) -> None:
        """A batch too large for the journal becomes a segment at once, after what the journal holds."""
        if epoch.delta.has_changes:
            epoch = self._flush(epoch)
        table = joined([*epoch.gather(batch), batch.puts])
        number = epoch.manifest.epoch + 1
        self._begin(number, generation, (*epoch.manifest.segments, *self._written(number, table, batch.deletes)))

    def _flush(self, epoch: Epoch) -> Epoch:
        """Make a segment of what the journal holds, and begin a new journal."""
        number = epoch.manifest.epoch + 1
        written = self._written(number, epoch.delta.living(), epoch.delta.tombstones())
        self._begin(number, epoch.generation, (*epoch.manifest.segments, *written))
        assert self._epoch is not None
        return self._epoch

    def _flush_if_there_is_room(self, epoch: Epoch) -> None:
        """The batch is durable in the journal already: a full disk only puts the segment off."""
        try:
            self._flush(epoch)
        except OSError as wrong:
            self._put_off = wrong

    def _merge_when_many(self) -> None:
        if self._merging is not None and self._merging.is_alive():
            return
        if self._epoch is None or len(self._epoch.segments) <= MANY:
            return
        sizes = [len(s) for s in self._epoch.segments]
        first = len(sizes) - 2
        while first > 0 and sizes[first - 1] < RATIO * sum(sizes[first:]):
            first -= 1
        self._merging = Thread(target=self._merge, args=(first, len(sizes)), name="merge")
        self._merging.start()

    def _merge(self, first: int, end: int) -> None:
        """Make one segment of several neighbours. What the journal has killed stays in it: the journal is replayed over it."""
        epoch = self._epoch
        assert epoch is not None
        merged = epoch.segments[first:end]
        tables = [
            s.layer.table.take(rows_of(alive)) for s, alive in zip(merged, epoch.alive_at_base[first:end], strict=True)
        ]
        tombstones = sorted({sku for s in merged for sku in s.tombstones.tolist()}) if first else []
        name = segment_name(epoch.manifest.epoch, 1 + _merges(epoch))
        self._being_written = frozenset({name, f"{name}.tmp"})
        try:
            write_segment(self.folder / name, joined(tables), names_of(tombstones), self.schema, self.disk)
            with self._changing:
                now = self._epoch
                assert now is not None
                rest = now.manifest.segments[end:]
                segments = (*now.manifest.segments[:first], name, *rest)
                self._begin(now.manifest.epoch + 1, now.manifest.generation, segments, now.manifest.journal)
            self._put_off = None
        except OSError as wrong:  # a full disk: what was is still whole, and merging is tried again later
            self._put_off = wrong


def _merges(epoch: Epoch) -> int:
    """A number for a merged segment's name that no segment of the epoch has."""
    return max((int(s.name.rpartition("-")[2].removesuffix(".hbs")) for s in epoch.segments), default=0)


def _last_of_each(entries: Iterable[Entry]) -> list[Entry]:
    """Entries without those that a later one of the same sku replaces."""
    return list({e.sku: e for e in entries}.values())


def _last_generation(folder: Path, schema: Schema) -> int:
    """The newest generation, or one that no reader can have seen where the last state cannot be read any more."""
    newest = max(epochs(folder), default=0)
    try:
        manifest = read_current(folder)
        return 0 if manifest is None else Epoch(folder, manifest, schema).acknowledged().generation
    except (CorruptIndex, OldFormat):
        return (newest + 1) << 32
