"""How readers follow the index: a change is seen by the next search, a large new segment is opened beside the searches.

Before every search two small things are looked at, which takes microseconds: whether CURRENT is another file, and whether the
journal has grown.
"""

import os
from collections import OrderedDict
from pathlib import Path
from threading import Lock, Thread

from search.epoch import Epoch, Snapshot
from search.layer import Schema
from search.manifest import CURRENT, Manifest, epochs, manifest_name, read_current, read_manifest
from search.packed import CorruptIndex

N_OLDER = 16  # older generations kept ready in memory; others are replayed from their files
BESIDE = 64 << 20  # bytes of new segments from which they are opened in a thread of their own, while searches go on


class GenerationGone(LookupError):
    """A page of a generation that is no longer kept."""


class IndexOutdated(ValueError):
    """An index of other weights or another vocabulary; it must be rebuilt."""


class Follower:
    """Gives the newest snapshot of a folder, and older ones while their files are kept."""

    def __init__(self, folder: Path, schema: Schema) -> None:
        self.folder, self.schema = folder, schema
        self._current = str(folder / CURRENT)
        self._epoch: Epoch | None = None
        self._seen: tuple[int, int] | None = None
        self._lock = Lock()
        self._opening: Thread | None = None
        self._older: OrderedDict[int, Snapshot] = OrderedDict()

    def snapshot(self, generation: int | None = None) -> Snapshot:
        """The newest, or that of a generation. Raises GenerationGone, CorruptIndex, IndexOutdated, OldFormat."""
        newest = self._newest()
        if generation is None or generation == newest.generation:
            return newest
        return self._of(generation)

    def _newest(self) -> Snapshot:
        try:
            said = os.stat(self._current)  # noqa: PTH116  # before every search: a Path would cost more than the call
            seen = (said.st_ino, said.st_mtime_ns)
        except FileNotFoundError:
            seen = None
        if seen != self._seen or self._epoch is None:
            self._reopen(seen)
        epoch = self._epoch
        if epoch is None:
            return Snapshot(0, self.schema, [])
        # Where another thread is at it already, its result comes a moment later.
        if epoch.has_more() and self._lock.acquire(blocking=False):
            try:
                if epoch is self._epoch:
                    self._keep(epoch.snapshot)
                    epoch.advance()
            finally:
                self._lock.release()
        return epoch.snapshot

    def _reopen(self, seen: tuple[int, int] | None) -> None:
        with self._lock:
            if seen == self._seen and self._epoch is not None:
                return
            manifest = read_current(self.folder)
            if manifest is None:
                self._epoch, self._seen = None, seen
                return
            check_fits(manifest, self.schema)
            if self._epoch is None or self._new_bytes(manifest) < BESIDE:
                try:
                    self._open(manifest, seen)
                except CorruptIndex:
                    newer = read_current(self.folder)
                    if newer is None or newer == manifest:
                        raise
                    self._open(newer, seen)  # merged away while it was opened
            elif self._opening is None or not self._opening.is_alive():
                self._opening = Thread(target=self._open_beside, args=(manifest, seen), daemon=True)
                self._opening.start()

    def _open(self, manifest: Manifest, seen: tuple[int, int] | None) -> None:
        before = self._epoch
        epoch = _opened(self.folder, manifest, self.schema, before)
        if before is not None:
            self._keep(before.snapshot)
        self._epoch, self._seen = epoch, seen

    def _open_beside(self, manifest: Manifest, seen: tuple[int, int] | None) -> None:
        try:
            epoch = _opened(self.folder, manifest, self.schema, self._epoch)
        except CorruptIndex:
            with self._lock:
                self._epoch = None  # the next search opens it itself, and says what is wrong
            return
        with self._lock:
            if self._epoch is not None:
                self._keep(self._epoch.snapshot)
            self._epoch, self._seen = epoch, seen

    def _new_bytes(self, manifest: Manifest) -> int:
        opened = {s.name for s in self._epoch.segments} if self._epoch else set()
        files = [self.folder / name for name in manifest.segments if name not in opened]
        return sum(f.stat().st_size for f in files if f.is_file())

    def _keep(self, snapshot: Snapshot) -> None:
        self._older[snapshot.generation] = snapshot
        while len(self._older) > N_OLDER:
            self._older.popitem(last=False)

    def _of(self, generation: int) -> Snapshot:
        with self._lock:
            if generation in self._older:
                return self._older[generation]
            for epoch in epochs(self.folder):
                try:
                    manifest, _ = read_manifest(self.folder / manifest_name(epoch))
                    check_fits(manifest, self.schema)
                    if manifest.generation > generation:
                        continue
                    snapshot = _opened(self.folder, manifest, self.schema, self._epoch, generation).snapshot
                except (CorruptIndex, IndexOutdated):  # files of an old epoch may go at any moment
                    break
                if snapshot.generation != generation:
                    break
                self._keep(snapshot)
                return snapshot
        raise GenerationGone(f"generation {generation} is gone; search again")


def _opened(folder: Path, manifest: Manifest, schema: Schema, before: Epoch | None, until: int | None = None) -> Epoch:
    epoch = Epoch(folder, manifest, schema, before)
    epoch.advance(until)
    return epoch


def check_fits(manifest: Manifest, schema: Schema) -> None:
    """Raise IndexOutdated where codes or labels of the index cannot be compared with the shop's."""
    mine = (schema.features, schema.vocabulary.fingerprint, schema.n_bits)
    if (manifest.features, manifest.vocabulary, manifest.n_bits) != mine:
        raise IndexOutdated(
            f"the index holds {manifest.features} ({manifest.n_bits} bits) for vocabulary {manifest.vocabulary}, the shop "
            f"now reads {schema.features} ({schema.n_bits} bits) for {schema.vocabulary.fingerprint}; "
            "run manage.py index --rebuild"
        )
