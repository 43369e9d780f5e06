"""A segment: one immutable, checksummed, memory-mapped file of products.

Rows are ordered by category, then cluster, then main colour, so that what is asked for together lies together. The file is a
`packed` one of kind "segment"; from format 2 on every later release opens it.

Shapes in this module:
    N  rows      W  64-bit words of a code      V  words of a label set      M  numbers      F  float features      C  clusters
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search.clusters import cluster
from search.durable import Disk
from search.layer import Layer, Names, Schema, Table
from search.packed import Array, CorruptIndex, open_packed, packed
from search.postings import Postings, build_postings, first_label

KIND, VERSION = "segment", 2
SPARE = 1.05  # of the estimate must be free on the disk


class NoRoom(OSError):
    """A segment that would not fit on the disk."""


@dataclass(frozen=True, eq=False)
class Segment:
    """An opened file. tombstones: skus that are deleted from older segments and not here."""

    name: str
    layer: Layer
    tombstones: Names

    def __len__(self) -> int:
        return len(self.layer)


def estimated_bytes(n: int, schema: Schema, name_bytes: float = 12) -> int:
    """How large a segment of `n` products will be, within some per cent: postings depend on the labels."""
    labels = schema.labels.n_words
    row = 8 * schema.n_words + 64 + 8 * labels + 12 * len(schema.numbers) + 2 * schema.n_floats + 16 + name_bytes
    return int(n * (row + 4 * labels * 2))


def write_segment(path: Path, table: Table, tombstones: Names, schema: Schema, disk: Disk) -> None:
    """Order and write products. Raises NoRoom before anything is written; OSError leaves nothing under the name."""
    needed = estimated_bytes(len(table), schema, len(table.names.text) / max(len(table), 1))
    free = shutil.disk_usage(path.parent).free
    if needed * SPARE > free:
        raise NoRoom(f"{path.name} needs {needed / 2**20:,.0f} MiB, {path.parent} has {free / 2**20:,.0f} MiB free")
    said = {
        "kind": KIND, "version": VERSION, "rows": len(table), "bits": schema.n_bits, "features": schema.features,
        "vocabulary": schema.vocabulary.fingerprint, "numbers": list(schema.numbers),
    }  # fmt: skip
    disk.write_file(path, packed(said, _arrays(table, tombstones, schema).items()))


def _arrays(table: Table, tombstones: Names, schema: Schema) -> dict[str, Array]:
    labels = schema.labels
    clusters = cluster(table.codes, first_label(table.labels, *labels.groups["category"]))
    colours = first_label(table.labels, *labels.groups["colour"]) if "colour" in labels.groups else clusters.assigned
    rows = np.lexsort((colours, clusters.assigned))
    ordered = table.take(rows)
    by_name = ordered.names.sorted_rows()
    ties = np.empty(len(rows), np.uint32)
    ties[by_name] = np.arange(len(rows), dtype=np.uint32)
    postings = build_postings(ordered.labels, labels)
    sizes = np.bincount(clusters.assigned, minlength=len(clusters.centres))
    return {
        "codes": ordered.codes, "colours": ordered.colours, "labels": ordered.labels, "numbers": ordered.numbers,
        "sorted_numbers": np.argsort(ordered.numbers, axis=1, kind="stable").astype(np.uint32),
        "floats": ordered.floats, "names": ordered.names.text, "name_starts": ordered.names.starts,
        "order": by_name.astype(np.uint32), "ties": ties, "posting_table": postings.table,
        "posting_words": postings.words, "posting_lists": postings.lists,
        "runs": np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64), "centres": clusters.centres, "radii": clusters.radii,
        "tombstones": tombstones.text, "tombstone_starts": tombstones.starts,
    }  # fmt: skip


def open_segment(path: Path) -> Segment:
    """Map a segment and check every byte. Raises CorruptIndex naming the file and what is wrong, OldFormat."""
    said, arrays = open_packed(path)
    if said.get("kind") != KIND:
        raise CorruptIndex(f"{path.name} is not a segment")
    if said["version"] > VERSION:
        raise CorruptIndex(f"{path.name} has format {said['version']}; this release reads up to {VERSION}")
    names = Names(arrays["names"], arrays["name_starts"])
    table = Table(names, arrays["codes"], arrays["colours"], arrays["labels"], arrays["numbers"], arrays["floats"])
    postings = Postings(arrays["posting_table"], arrays["posting_words"], arrays["posting_lists"])
    layer = Layer(
        table, arrays["order"], arrays["ties"], postings, arrays["sorted_numbers"], arrays["runs"], arrays["centres"],
        arrays["radii"],
    )  # fmt: skip
    return Segment(path.name, layer, Names(arrays["tombstones"], arrays["tombstone_starts"]))
