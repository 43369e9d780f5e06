"""A batch of changes as the journal keeps it: products put, relabelled and deleted.

Shapes in this module:
    M  products in the batch      V  words of a label set
"""

from typing import NamedTuple

from search.layer import Names, Table
from search.packed import Array, packed, unpacked
from search.postings import Bits

KIND = "changes"


class Changes(NamedTuple):
    """Deleted first, then relabelled, then put. relabels: (M, V) label sets of the products named beside them."""

    deletes: Names
    relabelled: Names
    relabels: Bits
    puts: Table


def to_bytes(changes: Changes) -> bytes:
    """As a record's body."""
    puts = changes.puts
    arrays: dict[str, Array] = {
        "deletes": changes.deletes.text, "delete_starts": changes.deletes.starts,
        "relabelled": changes.relabelled.text, "relabelled_starts": changes.relabelled.starts,
        "relabels": changes.relabels, "names": puts.names.text, "name_starts": puts.names.starts,
        "codes": puts.codes, "colours": puts.colours, "labels": puts.labels, "numbers": puts.numbers,
        "floats": puts.floats,
    }  # fmt: skip
    return b"".join(packed({"kind": KIND, "version": 2}, arrays.items()))


def from_bytes(body: bytes, name: str) -> Changes:
    """Read a record's body. Raises CorruptIndex."""
    arrays = unpacked(memoryview(body), name).arrays
    return Changes(
        Names(arrays["deletes"], arrays["delete_starts"]),
        Names(arrays["relabelled"], arrays["relabelled_starts"]),
        arrays["relabels"],
        Table(
            Names(arrays["names"], arrays["name_starts"]), arrays["codes"], arrays["colours"], arrays["labels"],
            arrays["numbers"], arrays["floats"],
        ),
    )  # fmt: skip
