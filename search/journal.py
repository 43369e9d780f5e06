"""The journal: changes since the last segment, one record a batch, and how far they are acknowledged.

A page of 4,096 bytes: magic, then two slots written in turn; then the records. A batch is durable when its record is synced
and then a slot that names its end is synced: what lies behind the acknowledged end was never promised and is not read. Records
are chained by checksum, and a slot holds that of the last one, so that a flipped bit is told from a record never finished.
"""

import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from xxhash import xxh3_64_intdigest

from search.durable import Disk
from search.packed import CorruptIndex

PAGE = 4096
_MAGIC = b"HABRDJL2".ljust(64, b"\0")
_SLOT = struct.Struct("<QQQQ")  # generation, end, checksum of the last record, checksum of these three
_SLOTS = (64, 128)
_RECORD = struct.Struct("<QQQQ")  # length of the body, generation, checksum before, checksum of these and the body
_TRIES = 50  # a slot being written by another process is read again, a millisecond later


class Acknowledged(NamedTuple):
    """How far a journal is promised: its last generation, where it ends, and the checksum of the last record."""

    generation: int
    end: int
    checksum: int


class Record(NamedTuple):
    """One batch: what it makes the generation, and its packed changes."""

    generation: int
    body: bytes


class JournalReader:
    """Follows a journal that another process may be writing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as wrong:
            raise CorruptIndex(f"{path.name} cannot be opened: {wrong}") from wrong
        self._seen = b""
        page = os.pread(self._descriptor, PAGE, 0)
        empty = bytearray(PAGE)
        empty[: len(_MAGIC)] = _MAGIC
        for place in _SLOTS:
            empty[place : place + _SLOT.size] = page[place : place + _SLOT.size]
        if page != bytes(empty):
            raise CorruptIndex(f"{path.name} is damaged: it does not begin as a journal")
        self._read = Acknowledged(0, PAGE, 0)

    def __del__(self, close: Callable[[int], None] = os.close) -> None:  # bound now: at exit the module may be gone
        if getattr(self, "_descriptor", -1) >= 0:
            close(self._descriptor)

    def has_more(self) -> bool:
        """Whether something was acknowledged since `records` was last read to its end; about a microsecond."""
        return os.pread(self._descriptor, 128, _SLOTS[0]) != self._seen

    def acknowledged(self) -> Acknowledged:
        """The end that is promised now. Raises CorruptIndex."""
        for left in reversed(range(_TRIES)):
            slots = os.pread(self._descriptor, 128, _SLOTS[0])
            read = [_SLOT.unpack_from(slots, place - _SLOTS[0]) for place in _SLOTS]
            if all(xxh3_64_intdigest(_three(*s[:3])) == s[3] for s in read):
                break
            if not left:
                raise CorruptIndex(f"{self.path.name} is damaged: the checksum of a slot does not fit")
            time.sleep(0.001)
        newest = max((Acknowledged(*s[:3]) for s in read), key=lambda a: (a.generation, a.end))
        if os.fstat(self._descriptor).st_size < newest.end:
            raise CorruptIndex(f"{self.path.name} is truncated: {newest.end} bytes were promised")
        self._newest_slots = slots
        return newest

    def records(self) -> Iterator[Record]:
        """The acknowledged records that were not read yet, oldest first. Raises CorruptIndex."""
        end = self.acknowledged()
        slots = self._newest_slots
        while self._read.end < end.end:
            _, at, before = self._read
            head = os.pread(self._descriptor, _RECORD.size, at)
            if len(head) < _RECORD.size:
                raise CorruptIndex(f"{self.path.name} is truncated at byte {at}")
            length, generation, chained, checksum = _RECORD.unpack(head)
            if at + _RECORD.size + length > end.end or chained != before:
                raise CorruptIndex(
                    f"{self.path.name} is damaged: the record at byte {at} does not follow the one before"
                )
            body = os.pread(self._descriptor, length, at + _RECORD.size)
            if record_checksum(generation, before, body) != checksum:
                raise CorruptIndex(f"{self.path.name} is damaged: the checksum of the record at byte {at} does not fit")
            self._read = Acknowledged(generation, at + _RECORD.size + length, checksum)
            yield Record(generation, body)
        if self._read.end != PAGE and self._read != end:
            raise CorruptIndex(f"{self.path.name} is damaged: its last record is not the one that was promised")
        self._seen = slots


class JournalWriter:
    """Appends batches. Only the holder of the index's lock may have one."""

    def __init__(self, path: Path, disk: Disk, at: Acknowledged) -> None:
        self._file, self.at = disk.open(path), at
        self._file.truncate(at.end)  # what was never acknowledged

    def append(self, body: bytes, generation: int) -> None:
        """Return when the batch is durable. Raises OSError (a full disk), and then nothing has changed."""
        checksum = record_checksum(generation, self.at.checksum, body)
        record = _RECORD.pack(len(body), generation, self.at.checksum, checksum) + body
        try:
            self._file.write_at(self.at.end, record)
            self._file.sync()
            promised = Acknowledged(generation, self.at.end + len(record), checksum)
            self._file.write_at(_SLOTS[generation % 2], _slot(promised))
            self._file.sync()
        except OSError:
            self._file.truncate(self.at.end)
            raise
        self.at = promised

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def create_journal(path: Path, disk: Disk, generation: int) -> None:
    """Make an empty journal that continues `generation`; its folder must be synced afterwards."""
    page = bytearray(PAGE)
    page[: len(_MAGIC)] = _MAGIC
    for place in _SLOTS:
        page[place : place + _SLOT.size] = _slot(Acknowledged(generation, PAGE, 0))
    disk.write_file(path, [bytes(page)])


def record_checksum(generation: int, before: int, body: bytes) -> int:
    """Over length, generation, the checksum of the record before, and the body."""
    return xxh3_64_intdigest(_three(len(body), generation, before) + body)


def _slot(promised: Acknowledged) -> bytes:
    return _SLOT.pack(*promised, xxh3_64_intdigest(_three(*promised)))


def _three(a: int, b: int, c: int) -> bytes:
    return struct.pack("<QQQ", a, b, c)
