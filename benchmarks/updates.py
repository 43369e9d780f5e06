"""Do corrections slow shoppers down? Searches while labels change all the time: python -m benchmarks.updates --json FILE.

One process relabels 1,000 products a second in batches of 100, as fast merchandisers and imports would; this one searches.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from attributes.report import Figure, positive, write_figures
from attributes.vocabulary import load_vocabulary
from benchmarks.products import Products, draw
from benchmarks.questions import Times, build, log, query_of, questions, spread
from search.index import Index
from search.layer import Schema
from search.query import Query
from search.writer import IndexWriter

BATCH, PER_SECOND = 100, 10


def relabel(folder: Path, schema: Schema, n_items: int, seconds: float) -> None:
    """Relabel at the pace, and print when each generation was acknowledged (seconds of the monotonic clock)."""
    random = np.random.default_rng(1)
    n_labels, n_categories = schema.labels.n_labels, len(schema.vocabulary.categories)
    with IndexWriter(folder, schema) as writer:
        writer.apply([])  # opens what is there
        print("ready", flush=True)
        started = time.monotonic()
        for i in range(int(seconds * PER_SECOND)):
            time.sleep(max(0.0, started + i / PER_SECOND - time.monotonic()))
            skus = [f"p{n:08d}" for n in random.choice(n_items, BATCH, replace=False)]
            labels = random.integers(n_categories, n_labels, (BATCH, 6)).tolist()
            changes = {
                s: (int(random.integers(n_categories)), *set(held)) for s, held in zip(skus, labels, strict=True)
            }
            generation = writer.apply([], relabels=changes)
            print(generation, time.monotonic(), flush=True)


def search_for(index: Index, queries: Sequence[Query], seconds: float) -> tuple[list[float], list[tuple[int, float]]]:
    """Search over and over; seconds of each, and when each generation was first answered from."""
    laps, seen, newest = [], [], -1
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for query in queries:
            started = time.monotonic()
            answer = index.search(query)
            done = time.monotonic()
            laps.append(done - started)
            if answer.generation > newest:
                newest = answer.generation
                seen.append((newest, done))
    return laps, seen


def measured(folder: Path, schema: Schema, products: Products, seconds: float) -> dict[str, Figure]:
    """Quiet and busy latencies by kind of question, and how soon a relabel is seen."""
    build(folder, schema, products.table)
    index = Index(folder, schema)
    figures: dict[str, Figure] = {}
    asked = questions(products, schema, products.table)
    for kind in ("none", "category"):
        queries = [query_of(q, schema) for q in asked[kind]]
        index.search(queries[0])
        quiet, _ = search_for(index, queries, seconds / 2)
        command = [sys.executable, "-m", "benchmarks.updates", "--relabel", str(folder), "--bits", str(schema.n_bits)]
        command += ["--items", str(len(products.table)), "--seconds", str(seconds)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        writer.stdout.readline()
        busy, seen = search_for(index, queries, seconds + 1)
        said, _ = writer.communicate()
        acknowledged = [(int(g), float(t)) for g, t in (line.split() for line in said.splitlines())]
        seen.append((10**12, float("inf")))
        lags = [max(next(t for g, t in seen if g >= generation) - at, 0.0) for generation, at in acknowledged]
        quietly, busily = spread(quiet), spread(busy)
        figures[kind] = {
            "quiet": quietly, "busy": busily, "p95_ratio": busily["p95_ms"] / quietly["p95_ms"],
            "longest_ms": max(busy) * 1000, "relabels_per_s": BATCH * len(acknowledged) / seconds,
            "seen_after_ms": Times(p50=float(np.median(lags)) * 1000, worst=max(lags) * 1000),
        }  # fmt: skip
        log(f"{kind}: {figures[kind]}")
    return {"items": len(products.table), "bits": schema.n_bits, **figures}


def main() -> None:
    """Read the command line; be the searcher, or the process that relabels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=positive, default=1_000_000)
    parser.add_argument("--bits", type=positive, default=512)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--relabel", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    schema = Schema(load_vocabulary(), arguments.bits, "benchmark")
    if arguments.relabel is not None:
        relabel(arguments.relabel, schema, arguments.items, arguments.seconds)
        return
    products = draw(schema, arguments.items, 60)
    with tempfile.TemporaryDirectory(prefix="haberdash-updates-") as folder:
        write_figures(measured(Path(folder) / "index", schema, products, arguments.seconds), arguments.json)


if __name__ == "__main__":
    main()
