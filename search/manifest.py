"""Which files make up the index: one small manifest an epoch, and CURRENT, which names the newest.

An epoch is a list of segments, oldest first, and the journal of what changed since. A product in a later segment or in the
journal replaces one of the same sku before it. Manifests of the last epochs are kept, so that pages of a generation that was
answered a moment ago can still be turned.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

from xxhash import xxh3_64_hexdigest

from search.durable import Disk
from search.packed import CorruptIndex, OldFormat

CURRENT = "CURRENT"
CERTIFICATE = "certificate.json"  # of the approximate mode, if it was measured
FORMAT = 2
N_KEPT = 4  # epochs


class Manifest(NamedTuple):
    """An epoch. generation: what the segments alone hold; features, vocabulary, n_bits: what they can be compared with."""

    epoch: int
    generation: int
    segments: tuple[str, ...]
    journal: str
    features: str
    vocabulary: str
    n_bits: int


def manifest_name(epoch: int) -> str:
    """The file of an epoch."""
    return f"epoch-{epoch:09d}.manifest"


def journal_name(epoch: int) -> str:
    """The journal that an epoch begins."""
    return f"journal-{epoch:09d}.log"


def segment_name(epoch: int, part: int = 0) -> str:
    """A segment that is written for an epoch."""
    return f"segment-{epoch:09d}-{part}.hbs"


def read_current(folder: Path) -> Manifest | None:
    """The newest manifest; None while nothing was ever indexed. Raises CorruptIndex, OldFormat."""
    try:
        said = (folder / CURRENT).read_bytes()
    except FileNotFoundError:
        if sum(1 for _ in folder.glob("epoch-*.manifest")) > 1:
            raise CorruptIndex(f"{CURRENT} is missing from an index that has epochs") from None
        return None
    if said.startswith(b"generation-"):
        raise OldFormat("the index has the format of before 1.0")
    try:
        name, checksum = said.decode("ascii").removesuffix("\n").split(" ")
    except ValueError as wrong:
        raise CorruptIndex(f"{CURRENT} is damaged: it says {said[:60]!r}") from wrong
    if said != f"{name} {checksum}\n".encode() or not re.fullmatch(r"epoch-\d{9}\.manifest", name):
        raise CorruptIndex(f"{CURRENT} is damaged: it says {said[:60]!r}")
    if not (folder / name).is_file():
        raise CorruptIndex(f"{CURRENT} names {name}, which is not there")
    manifest, content = read_manifest(folder / name)
    if xxh3_64_hexdigest(content) != checksum:
        raise CorruptIndex(f"{name} is not the one that {CURRENT} means: checksums differ")
    return manifest


def read_manifest(file: Path) -> tuple[Manifest, bytes]:
    """A manifest and its bytes. Raises CorruptIndex."""
    try:
        content = file.read_bytes()
    except OSError as wrong:
        raise CorruptIndex(f"{file.name} cannot be read: {wrong}") from wrong
    text, _, checksum = content.removesuffix(b"\n").rpartition(b"\n")
    if xxh3_64_hexdigest(text).encode() != checksum or not content.endswith(b"\n"):
        raise CorruptIndex(f"{file.name} is damaged or truncated: its checksum does not fit")
    said = json.loads(text)
    if said.pop("format") > FORMAT:
        raise CorruptIndex(f"{file.name} was written by a later release; it cannot be read by this one")
    return Manifest(**{**said, "segments": tuple(said["segments"])}), content


def commit(folder: Path, disk: Disk, manifest: Manifest) -> None:
    """Make a manifest the current one, durably. What it names must be written; its folder entries are synced here."""
    text = json.dumps({"format": FORMAT, **manifest._asdict()}).encode()
    content = text + b"\n" + xxh3_64_hexdigest(text).encode() + b"\n"
    disk.write_file(folder / manifest_name(manifest.epoch), [content])
    disk.sync_folder(folder)
    name = manifest_name(manifest.epoch)
    disk.write_file(folder / CURRENT, [f"{name} {xxh3_64_hexdigest(content)}\n".encode()])
    disk.sync_folder(folder)


def epochs(folder: Path) -> list[int]:
    """The epochs whose manifests are there, newest first."""
    return sorted((int(f.name[6:15]) for f in folder.glob("epoch-*.manifest") if f.name[6:15].isdigit()), reverse=True)


def forget_older(folder: Path, disk: Disk, current: Manifest, in_use: frozenset[str] = frozenset()) -> None:
    """Remove what only epochs before the last N_KEPT need, and what a crash left behind.

    in_use: files that are being written. A kept manifest that cannot be read keeps nothing.
    """
    kept = {CURRENT, "LOCK", CERTIFICATE, *in_use}
    for epoch in [e for e in epochs(folder) if e <= current.epoch][:N_KEPT]:
        name = manifest_name(epoch)
        try:
            manifest, _ = read_manifest(folder / name)
        except CorruptIndex:
            continue
        kept |= {name, manifest.journal, *manifest.segments}
    for file in folder.iterdir():
        if file.name not in kept and file.name.startswith(
            ("epoch-", "journal-", "segment-", "generation-", "CURRENT.")
        ):
            disk.remove(file)
