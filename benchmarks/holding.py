"""A reading process to weigh: opens an index, searches it, says so, and waits: python -m benchmarks.holding FOLDER BITS."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from attributes.vocabulary import load_vocabulary
from search.colour import N_BINS
from search.features import Features
from search.index import Index
from search.layer import Schema
from search.query import Query

N_SEARCHES = 20


def proportional_mib(folder: Path, schema: Schema, n: int) -> float:
    """MiB of proportional memory (PSS) of n processes that have the index open and have searched it, together."""
    command = [sys.executable, "-m", "benchmarks.holding", str(folder), str(schema.n_bits), schema.features]
    readers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(n)]
    total = 0
    for reader in readers:
        assert reader.stdout is not None
        if not reader.stdout.readline():
            raise RuntimeError(f"a reading process ended with {reader.wait()}")
    for reader in readers:
        said = Path(f"/proc/{reader.pid}/smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in said if line.startswith("Pss:"))
    for reader in readers:
        reader.communicate()
    return total / 1024


def main() -> None:
    """Open, search, say "ready", wait for the end of stdin."""
    folder, bits, features = sys.argv[1:]
    schema = Schema(load_vocabulary(), int(bits), features)
    index, random = Index(Path(folder), schema), np.random.default_rng(0)
    for _ in range(N_SEARCHES):
        code = random.integers(0, 2**63, schema.n_words, dtype=np.uint64)
        index.search(Query(Features(code, np.zeros(N_BINS, np.uint8))))
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
