"""Keeping an index sound: verify every byte, back up while it is in use, restore."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from search.durable import Disk
from search.epoch import Epoch
from search.following import check_fits
from search.journal import create_journal
from search.layer import Layer, Schema
from search.manifest import commit, epochs, journal_name, read_current, segment_name
from search.packed import CorruptIndex, OldFormat
from search.segment import write_segment
from search.writer import IndexWriter

CHUNK = 8 << 20  # bytes copied at a time


class NoBackup(ValueError):
    """A folder that cannot be backed up into, or that holds no whole backup."""


def verify(folder: Path, schema: Schema) -> list[str]:
    """Read every byte of the current generation; returns what is wrong, file by file. An empty list is a sound index."""
    try:
        manifest = read_current(folder)
        if manifest is None:
            return []
        epoch = Epoch(folder, manifest, schema)
        epoch.advance()
    except (CorruptIndex, OldFormat) as wrong:
        return [str(wrong)]
    return [problem for segment in epoch.segments for problem in _inconsistencies(segment.name, segment.layer, schema)]


def _inconsistencies(name: str, layer: Layer, schema: Schema) -> Iterator[str]:
    """What checksums cannot show: postings that do not agree with the products' labels."""
    labels = schema.labels
    counted = np.unpackbits(layer.table.labels.view(np.uint8), axis=1, bitorder="little").sum(0, dtype=np.int64)
    for label in range(labels.n_labels):
        bits = layer.postings.bits(label, 0, layer.n_blocks)
        if int(np.bitwise_count(bits).sum()) != int(counted[label]):
            yield f"{name}: the posting of {'='.join(schema.vocabulary.labels[label])} does not agree with the labels"


def backup(folder: Path, target: Path, schema: Schema, disk: Disk | None = None) -> int:
    """Copy the newest generation into a new folder, whole or not at all; returns the generation.

    Needs no lock: what is copied is immutable. Raises NoBackup, CorruptIndex, OSError.
    """
    disk = disk or Disk()
    if target.exists():
        raise NoBackup(f"{target} is there already; a backup is written into a new folder")
    aside = target.with_name(f"{target.name}.tmp")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for _ in range(3):
        manifest = read_current(folder)
        if manifest is None:
            raise NoBackup(f"{folder} holds no index")
        check_fits(manifest, schema)
        try:
            epoch = Epoch(folder, manifest, schema)
            epoch.advance()
            segments = _copied(epoch, folder, aside, 1, schema, disk)
        except (CorruptIndex, FileNotFoundError):
            if read_current(folder) == manifest:
                raise
            continue  # merged away meanwhile: the next epoch has the same products
        create_journal(aside / journal_name(1), disk, epoch.generation)
        commit(aside, disk, manifest._replace(
            epoch=1, generation=epoch.generation, segments=segments, journal=journal_name(1)
        ))  # fmt: skip
        if problems := verify(aside, schema):
            raise CorruptIndex(f"the backup could not be read back: {problems[0]}")
        disk.rename(aside, target)
        disk.sync_folder(target.parent)
        return epoch.generation
    raise NoBackup(f"{folder} changed three times while it was copied")


def restore(source: Path, writer: IndexWriter) -> int:
    """Replace the index by a backup, in one durable step; returns the new generation. Raises NoBackup, CorruptIndex, OSError."""
    manifest = read_current(source) if source.is_dir() else None
    if manifest is None:
        raise NoBackup(f"{source} holds no whole backup")
    check_fits(manifest, writer.schema)
    if problems := verify(source, writer.schema):
        raise CorruptIndex(f"the backup is damaged: {problems[0]}")
    epoch = Epoch(source, manifest, writer.schema)
    epoch.advance()
    number = max(epochs(writer.folder), default=0) + 1
    return writer.adopt(
        number, epoch.generation, _copied(epoch, source, writer.folder, number, writer.schema, writer.disk)
    )


def _copied(epoch: Epoch, source: Path, target: Path, number: int, schema: Schema, disk: Disk) -> tuple[str, ...]:
    """Copy an epoch's segments under new names, and write what its journal holds as one more."""
    names = []
    for part, segment in enumerate(epoch.segments, 1):
        names.append(segment_name(number, part))
        disk.write_file(target / names[-1], _chunks(source / segment.name))
    if epoch.delta.has_changes:
        names.append(segment_name(number, 0))
        write_segment(target / names[-1], epoch.delta.living(), epoch.delta.tombstones(), schema, disk)
    return tuple(names)


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            yield chunk
