"""One immutable, checksummed, memory-mapped file of products: codes, colours, labels, prices, postings.

File: MAGIC, 8 bytes of header length, the header as JSON (arrays with dtype, shape and offset), the arrays aligned to 64
bytes, and a CRC-32 of everything before it. Written aside, synced and renamed.

Shapes in this module:
    N  products, sorted by sku      W  words of a code      L  labels of the vocabulary
"""

import json
import mmap
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from search.codes import Codes
from search.colour import N_BINS, Histogram

MAGIC = b"HABRDSH1"
NO_PRICE = -1


class CorruptSegment(ValueError):
    """A segment file that is damaged, truncated or of another version."""


class Entry(NamedTuple):
    """One product as it is indexed. labels: ids in the vocabulary; price in cents, None where there is none."""

    sku: str
    code: Codes  # (W,)
    colour: Histogram  # (64,)
    labels: tuple[int, ...]
    price: int | None


@dataclass(frozen=True)
class Segment:
    """The opened file; arrays are views of the map.  codes: (N, W); colours: (N, 64); prices: (N,) cents, -1 for none;
    has: (N, L) of 0 and 1."""

    generation: int
    features: str
    vocabulary: str
    codes: Codes
    colours: Histogram
    prices: npt.NDArray[np.int64]
    has: npt.NDArray[np.uint8]
    postings: npt.NDArray[np.int32]
    posting_starts: npt.NDArray[np.int64]
    names: npt.NDArray[np.uint8]
    name_starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def skus(self) -> list[str]:
        """All skus, sorted."""
        text = self.names.tobytes()
        return [text[a:b].decode() for a, b in zip(self.name_starts[:-1], self.name_starts[1:], strict=True)]

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The row of each sku."""
        return {sku: i for i, sku in enumerate(self.skus)}

    def rows(self, label: int) -> npt.NDArray[np.int32]:
        """The posting of a label: the rows that have it, ascending."""
        return self.postings[self.posting_starts[label] : self.posting_starts[label + 1]]

    def entry(self, row: int) -> Entry:
        """A row as it was written."""
        price = int(self.prices[row])
        return Entry(
            self.skus[row],
            self.codes[row],
            self.colours[row],
            tuple(np.flatnonzero(self.has[row]).tolist()),
            None if price == NO_PRICE else price,
        )


def write_segment(
    file: Path, entries: Sequence[Entry], generation: int, features: str, vocabulary: str, n_labels: int, n_words: int
) -> None:
    """Write products as one file, durably: it is whole under its name, or not there."""
    entries = sorted(entries, key=lambda e: e.sku)
    has = np.zeros((len(entries), n_labels), np.uint8)
    for row, entry in enumerate(entries):
        has[row, list(entry.labels)] = 1
    labels, rows = np.nonzero(has.T)
    names = [e.sku.encode() for e in entries]
    arrays: dict[str, npt.NDArray[Any]] = {
        "codes": np.array([e.code for e in entries], np.uint64).reshape(-1, n_words),
        "colours": np.array([e.colour for e in entries], np.uint8).reshape(-1, N_BINS),
        "prices": np.array([NO_PRICE if e.price is None else e.price for e in entries], np.int64),
        "has": has,
        "postings": rows.astype(np.int32),
        "posting_starts": np.searchsorted(labels, np.arange(n_labels + 1)).astype(np.int64),
        "names": np.frombuffer(b"".join(names), np.uint8),
        "name_starts": np.concatenate([[0], np.cumsum([len(n) for n in names])]).astype(np.int64),
    }
    aside = file.with_suffix(".tmp")
    with aside.open("wb") as opened:
        opened.write(_packed({"generation": generation, "features": features, "vocabulary": vocabulary}, arrays))
        opened.flush()
        os.fsync(opened.fileno())
    aside.rename(file)
    sync_folder(file.parent)


def _packed(said: dict[str, object], arrays: dict[str, npt.NDArray[Any]]) -> bytes:
    places, offset = {}, 0
    for name, array in arrays.items():
        places[name] = {"dtype": array.dtype.str, "shape": array.shape, "offset": offset}
        offset += -(-array.nbytes // 64) * 64
    header = json.dumps({**said, "arrays": places}).encode()
    header += b" " * (-(len(MAGIC) + 8 + len(header)) % 64)
    parts = [MAGIC, len(header).to_bytes(8, "little"), header]
    for array in arrays.values():
        parts += [array.tobytes(), b"\0" * (-array.nbytes % 64)]
    body = b"".join(parts)
    return body + crc32(body).to_bytes(4, "little")


def open_segment(file: Path) -> Segment:
    """Map a segment and check every byte. Raises CorruptSegment naming the file and what is wrong with it."""
    try:
        with file.open("rb") as opened:
            whole = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as wrong:
        raise CorruptSegment(f"{file.name} cannot be opened: {wrong}") from wrong
    if len(whole) < len(MAGIC) + 12 or whole[: len(MAGIC)] != MAGIC:
        raise CorruptSegment(f"{file.name} is not a segment of this version")
    view = memoryview(whole)
    if crc32(view[:-4]) != int.from_bytes(view[-4:], "little"):
        raise CorruptSegment(f"{file.name} is damaged: its checksum does not fit")
    start = len(MAGIC) + 8
    n_header = int.from_bytes(view[len(MAGIC) : start], "little")
    header = json.loads(bytes(view[start : start + n_header]))
    arrays = {
        name: np.frombuffer(
            whole, np.dtype(place["dtype"]), int(np.prod(place["shape"])), start + n_header + place["offset"]
        ).reshape(place["shape"])
        for name, place in header.pop("arrays").items()
    }
    return Segment(header["generation"], header["features"], header["vocabulary"], **arrays)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
