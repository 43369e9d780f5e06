"""Does it lose anything? Kills, flipped bits, cut power and full disks: python -m benchmarks.faults --json FILE.

Every batch is made from its number alone, and makes one generation: what an index must hold at a generation is known without
asking it. A fault is survived when the index opens, verifies, holds at least what was acknowledged, and exactly what its
generation says.
"""

import argparse
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from attributes.report import Figure, fail, progress, write_figures
from attributes.vocabulary import load_vocabulary
from benchmarks.power import RecordingDisk, disks_at
from search.following import Follower
from search.index import Index
from search.layer import Entry, Schema
from search.manifest import CURRENT, Manifest, read_current
from search.packed import CorruptIndex
from search.upkeep import backup, verify
from search.writer import IndexWriter

SCHEMA = Schema(load_vocabulary(), 128, "faults")
FLUSHED = 96  # rows: small segments and merges come often
COMPACTED, BACKED_UP = 17, 11  # every so many batches
N_SKUS = 400

Held = dict[str, tuple[tuple[int, ...], int | None]]  # labels and price by sku


class Broken(AssertionError):
    """An index that lost something, or said something wrong."""


def batch(number: int) -> tuple[list[Entry], list[str], dict[str, tuple[int, ...]]]:
    """Products put, deleted and relabelled by the batch of a number."""
    random = np.random.default_rng(number)
    skus = [f"s{i}" for i in random.permutation(N_SKUS)]
    puts, deletes, relabels = ((20, 0, 0), (0, 0, 25), (6, 4, 0), (5, 3, 9))[number % 4]
    entries = [
        Entry(sku, random.integers(0, 2**63, 2, dtype=np.uint64), _colour(random), _labels(random), number)
        for sku in skus[:puts]
    ]
    return entries, skus[puts : puts + deletes], {s: _labels(random) for s in skus[puts + deletes :][:relabels]}


def _colour(random: np.random.Generator) -> "np.ndarray[tuple[int], np.dtype[np.uint8]]":
    colour = np.zeros(64, np.uint8)
    colour[random.integers(64)] = 255
    return colour


def _labels(random: np.random.Generator) -> tuple[int, ...]:
    return tuple(sorted({int(random.integers(24)), *random.integers(24, 180, 4).tolist()}))


def held_after(n: int) -> Held:
    """What the index holds after n batches."""
    held: Held = {}
    for number in range(1, n + 1):
        entries, deletes, relabels = batch(number)
        for sku in deletes:
            held.pop(sku, None)
        held.update({sku: (labels, held[sku][1]) for sku, labels in relabels.items() if sku in held})
        held.update({e.sku: (e.labels, e.price) for e in entries})
    return held


def check(folder: Path, acknowledged: int) -> int:
    """Open, verify and compare an index; returns its generation. Raises Broken, CorruptIndex."""
    if problems := verify(folder, SCHEMA):
        raise Broken(problems[0])
    snapshot = Follower(folder, SCHEMA).snapshot()
    if snapshot.generation < acknowledged:
        raise Broken(f"generation {acknowledged} was acknowledged, {snapshot.generation} is there")
    found: Held = {}
    for table in snapshot.tables():
        for row, sku in enumerate(table.names.tolist()):
            bits = np.unpackbits(np.ascontiguousarray(table.labels[row]).view(np.uint8), bitorder="little")
            price = int(table.numbers[0, row])
            found[sku] = tuple(np.flatnonzero(bits).tolist()), price
    if found != held_after(snapshot.generation):
        raise Broken(f"generation {snapshot.generation} does not hold what its batches say")
    return snapshot.generation


def work(folder: Path, acknowledge: Callable[[int], None], until: int, disk: RecordingDisk | None = None) -> None:
    """Apply batches from where the index stands, compacting and backing up between them."""
    with IndexWriter(folder, SCHEMA, disk, FLUSHED) as writer:
        generation = Index(folder, SCHEMA).snapshot().generation
        while generation < until:
            entries, deletes, relabels = batch(generation + 1)
            generation = writer.apply(entries, deletes, relabels=relabels)
            acknowledge(generation)
            if generation % COMPACTED == 0:
                writer.compact()
            if generation % BACKED_UP == 0 and disk is None:
                target = folder.with_name("backup")
                if target.exists():  # renamed first: a kill in the middle of deleting must not look like half a backup
                    shutil.rmtree(target.with_name("old"), ignore_errors=True)
                    target.rename(target.with_name("old"))
                backup(folder, target, SCHEMA)


def kills(n: int, folder: Path, seed: int = 7) -> dict[str, Figure]:
    """Kill the writer at n random instants. Each goes on where the one before was killed."""
    random, index, generations = np.random.default_rng(seed), folder / "index", []
    for i in progress(range(n), n, "kills"):
        if i % 60 == 0:  # a fresh start now and then, so that held_after stays short
            shutil.rmtree(index, ignore_errors=True)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                work(index, partial(_say, writing), 10**6)
            finally:
                os._exit(1)
        os.close(writing)
        time.sleep(random.uniform(0.005, 0.25))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.read()
        acknowledged = int.from_bytes(said[-4:], "little") if said else 0
        generations.append(check(index, acknowledged))
        if (folder / "backup").is_dir():
            check(folder / "backup", 0)
    return {"kills": n, "survived": len(generations), "last_generation": generations[-1] if generations else 0}


def _say(pipe: int, generation: int) -> None:
    os.write(pipe, generation.to_bytes(4, "little"))


def flips(n: int, folder: Path, seed: int = 7) -> dict[str, Figure]:
    """Flip a bit or cut the end of a file of the current epoch, n times; each must be said, with the file's name."""
    random, whole = np.random.default_rng(seed), folder / "whole"
    work(whole, lambda _: None, COMPACTED + 9)
    manifest = read_current(whole)
    assert isinstance(manifest, Manifest)
    files = [CURRENT, f"epoch-{manifest.epoch:09d}.manifest", manifest.journal, *manifest.segments]
    by_kind = {"flipped": 0, "truncated": 0}
    for i in progress(range(n), n, "damages"):
        damaged = folder / "damaged"
        shutil.rmtree(damaged, ignore_errors=True)
        shutil.copytree(whole, damaged)
        name = files[random.integers(len(files))]
        content = bytearray((damaged / name).read_bytes())
        kind = "truncated" if i % 3 == 0 else "flipped"
        if kind == "truncated":
            content = content[: random.integers(len(content))]
        else:
            content[random.integers(len(content))] ^= 1 << int(random.integers(8))
        (damaged / name).write_bytes(content)
        try:
            Index(damaged, SCHEMA).snapshot()
        except CorruptIndex as said:
            stem = name.removesuffix(".hbs").removesuffix(".manifest")
            if stem not in str(said) and CURRENT not in str(said):
                raise Broken(f"{name} was damaged, but it was said: {said}") from said
            by_kind[kind] += 1
            continue
        raise Broken(f"{name} was {kind} and answered from")
    return {"damages": n, "detected": sum(by_kind.values()), **by_kind, "files": len(files)}


def power_cuts(n_batches: int, folder: Path) -> dict[str, Figure]:
    """Cut the power at every sync of some batches: what was not synced is lost, or all of it was written after all."""
    disk, marks = RecordingDisk(), [(0, 0)]
    work(folder / "recorded", lambda g: marks.append((len(disk.operations), g)), n_batches, disk)
    n_cuts = 0
    boundaries = [i + 1 for i, operation in enumerate(disk.operations) if operation.is_sync]
    for at in progress(boundaries, len(boundaries), "power cuts"):
        acknowledged = max(g for n, g in marks if n <= at)
        for files in disks_at(disk.operations[:at]):
            replayed = folder / "replayed"
            shutil.rmtree(replayed, ignore_errors=True)
            replayed.mkdir()
            for name, content in files.items():
                (replayed / name).write_bytes(content)
            check(replayed, acknowledged)
            n_cuts += 1
    return {"batches": n_batches, "syncs": len(boundaries), "states_opened": n_cuts}


def full_disk(folder: Path) -> dict[str, Figure]:
    """Let no file grow beyond a limit, as a full disk would: nothing acknowledged is lost, and work goes on with room."""
    index, refused = folder / "full", 0
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    done = [0]
    for limit in (6_000, 12_000, 20_000, 30_000, 45_000, 70_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            work(index, done.append, done[-1] + 200)
        except OSError:
            refused += 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        check(index, done[-1])
    work(index, done.append, done[-1] + 5)
    return {"limits": 6, "refused": refused, "generation_after": check(index, done[-1])}


def main() -> None:
    """Read the command line, break things, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--flips", type=int, default=500)
    parser.add_argument("--batches", type=int, default=60, help="whose every sync is a power cut")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="haberdash-faults-") as made:
        folder = Path(made)
        try:
            figures: dict[str, Figure] = {
                "kills": kills(arguments.kills, folder), "flips": flips(arguments.flips, folder),
                "power_cuts": power_cuts(arguments.batches, folder), "full_disk": full_disk(folder),
            }  # fmt: skip
        except (Broken, CorruptIndex) as wrong:
            kept = Path(tempfile.mkdtemp(prefix="haberdash-broken-"))
            shutil.copytree(folder, kept, dirs_exist_ok=True)
            print(f"kept in {kept}", file=sys.stderr)
            fail(str(wrong))
    write_figures(figures, arguments.json)


if __name__ == "__main__":
    main()
