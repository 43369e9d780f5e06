"""A file of named arrays in which every byte is checked: the form of segments, and of the records of a journal.

Layout: MAGIC padded to 64 bytes; the arrays, each padded to 64 bytes; a JSON header that says what the file is and names every
array with dtype, shape, place and checksum; a trailer of header place, header length, header checksum and END. Checksums are
XXH3 (64 bits) of the padded bytes.
"""

import json
import mmap
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64, xxh3_64_intdigest

MAGIC = b"HABRDSH2".ljust(64, b"\0")
OLDER = b"HABRDSH1"
END = b"HABRDEND"
ALIGNED = 64  # bytes; a cache line and the widest vector
_TRAILER = struct.Struct("<QQQ8s")

Array = npt.NDArray[Any]
Said = Mapping[str, Any]  # what a header says besides its arrays: plain JSON


class CorruptIndex(ValueError):
    """A file of the index that is damaged, truncated or missing; the message names it and what is wrong."""


class OldFormat(ValueError):
    """An index of a format that was never promised; it is rebuilt from the catalogue."""


class Packed(NamedTuple):
    """What was in a file. The arrays are read-only views of it."""

    said: Said
    arrays: dict[str, Array]


def packed(said: Said, arrays: Iterable[tuple[str, Array]]) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a file, part by part; arrays are asked for one at a time and may be large."""
    yield MAGIC
    places, offset = {}, len(MAGIC)
    for name, array in arrays:
        content = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data if array.size else memoryview(b"")
        padding = b"\0" * (-len(content) % ALIGNED)
        whole = len(content) + len(padding)
        checksum = _checksum(content, padding)
        places[name] = [array.dtype.str, list(array.shape), offset, whole, checksum]
        offset += whole
        yield content
        if padding:
            yield padding
    header = json.dumps({**said, "arrays": places}, separators=(",", ":")).encode()
    yield header
    yield _TRAILER.pack(offset, len(header), xxh3_64_intdigest(header), END)


def _checksum(content: memoryview, padding: bytes) -> int:
    if not padding:
        return xxh3_64_intdigest(content)
    hashed = xxh3_64(content)
    hashed.update(padding)
    return hashed.intdigest()


def unpacked(whole: memoryview | mmap.mmap, name: str) -> Packed:
    """Check every byte and return what is there. Raises CorruptIndex, and OldFormat for files before the promise."""
    view = memoryview(whole)
    if len(view) >= len(OLDER) and view[: len(OLDER)] == OLDER:
        raise OldFormat(f"{name} has the format of before 1.0")
    if len(view) < len(MAGIC) + _TRAILER.size or view[: len(MAGIC)] != MAGIC:
        raise CorruptIndex(f"{name} is damaged or truncated: it does not begin as a file of the index")
    start, length, checksum, end = _TRAILER.unpack(view[-_TRAILER.size :])
    if end != END or start + length + _TRAILER.size != len(view):
        raise CorruptIndex(f"{name} is damaged or truncated: it does not end as a file of the index")
    header = view[start : start + length]
    if xxh3_64_intdigest(header) != checksum:
        raise CorruptIndex(f"{name} is damaged: the checksum of its header does not fit")
    said = json.loads(bytes(header))
    arrays, reached = {}, len(MAGIC)
    for key, (dtype, shape, place, padded, expected) in said.pop("arrays").items():
        if place != reached or xxh3_64_intdigest(view[place : place + padded]) != expected:
            raise CorruptIndex(f"{name} is damaged: the checksum of its {key} does not fit")
        kind = np.dtype(dtype)
        array = np.frombuffer(view, kind, int(np.prod(shape)), place).reshape(shape)
        array.flags.writeable = False
        arrays[key] = array
        reached += padded
    if reached != start:
        raise CorruptIndex(f"{name} is damaged: {start - reached} bytes belong to nothing")
    return Packed(said, arrays)


def open_packed(file: Path) -> Packed:
    """Map a file, shared with every process that does, and check every byte of it. Raises CorruptIndex, OldFormat."""
    try:
        with file.open("rb") as opened:
            whole = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as wrong:
        raise CorruptIndex(f"{file.name} cannot be opened: {wrong}") from wrong
    return unpacked(whole, file.name)
