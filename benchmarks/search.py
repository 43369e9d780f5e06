"""Is it fast? Our index and others, asked the same in turn: python -m benchmarks.search --items N --bits B --json FILE.

One thread unless --threads; everything of ours goes through `Index.search`, skus and deletions included. 1 % of our products are
deleted; peers never got those.

Shapes in this module:
    K  results asked for
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import faiss
import numpy as np
from numba import njit

from attributes.report import Figure, fail, positive, write_figures
from attributes.vocabulary import load_vocabulary
from benchmarks import peers
from benchmarks.holding import proportional_mib
from benchmarks.peers import Peer, built, slow_distances, slow_matches
from benchmarks.products import Products, draw, resample
from benchmarks.questions import DELETED, K, Question, Times, build, log, query_of, questions, spread
from search.codes import Codes
from search.index import Index
from search.layer import Schema, Table
from search.postings import Rows
from search.query import Query
from search.ranking import DEFAULT, Weights
from search.segment import NoRoom

GRID = tuple(Weights(a, b, 100 - a - b) for a in range(0, 101, 25) for b in range(0, 101 - a, 25))
PROBES = (16, 32, 64, 96, 128, 256)
SLOW = 20  # questions that are judged, and that peers of tens of milliseconds are asked
SLOWER = ("usearch_exact", "numpy", "duckdb")
WARM = 3

Q = TypeVar("Q")
A = TypeVar("A")


def compare(
    index: Index, table: Table, asked: Mapping[str, Sequence[Question]], others: Mapping[str, Peer]
) -> dict[str, dict[str, Times]]:
    """Milliseconds and recall of every engine. Each asks all questions of a kind in a row, as a shop would ask the one it has:
    what stays in the cache is its own."""
    compared: dict[str, dict[str, Times]] = {engine: {} for engine in ("ours", *others)}
    for kind, every in asked.items():
        truths = [slow_distances(table, q, K) for q in every[:SLOW]]
        matching = float(np.median([slow_matches(table, q).sum() for q in every[:SLOW]]))
        said = []
        for engine in ("ours", *others):
            if engine == "ours":
                queries = [query_of(q, index.schema) for q in every]
                laps, answers = asked_in_a_row(lambda q: index.search(q).distances, queries)
                found = [np.rint(np.array(a) * index.schema.n_bits).astype(np.int64) for a in answers]
            elif others[engine].can(every[0]):
                laps, found = asked_in_a_row(partial(_ask, others[engine]), every[: SLOW if engine in SLOWER else None])
            else:
                continue
            recalls = [float((f <= t[-1]).sum() / len(t)) for f, t in zip(found, truths, strict=False) if len(t)]
            compared[engine][kind] = {**spread(laps), "recall": float(np.mean(recalls))}
            if engine == "ours":
                compared[engine][kind]["matching"] = matching
            said.append(f"{engine} {compared[engine][kind]['p50_ms']:.3f}")
        log(f"{kind}: matching {matching:,.0f} (median)  " + "  ".join(said))
    return compared


def _ask(peer: Peer, question: Question) -> Rows:
    return peer.search(question, K)


def asked_in_a_row(ask: Callable[[Q], A], questions: Sequence[Q]) -> tuple[list[float], list[A]]:
    """Seconds and answers; the first questions are asked once before the clock runs."""
    for question in questions[:WARM]:
        ask(question)
    laps, answers = [], []
    for question in questions:
        started = time.perf_counter()
        answers.append(ask(question))
        laps.append(time.perf_counter() - started)
    return laps, answers


def timed(index: Index, queries: Sequence[Query]) -> Times:
    """The spread of some queries, one after the other."""
    laps = []
    for query in queries:
        started = time.perf_counter()
        index.search(query)
        laps.append(time.perf_counter() - started)
    return spread(laps)


@njit(nogil=True, cache=True)
def _read(codes):  # type: ignore[no-untyped-def]
    total = np.uint64(0)
    for i in range(codes.shape[0]):
        total ^= codes[i]
    return total


def read_once(index: Index, n: int) -> float:
    """Milliseconds of one plain read of all codes where they lie, the median of n."""
    laps = []
    for _ in range(n + 1):
        started = time.perf_counter()
        for view in index.snapshot().views:
            _read(view.layer.codes)
        laps.append(time.perf_counter() - started)
    return float(np.median(laps[1:]) * 1000)


def combined(index: Index, products: Products, asked: Sequence[Question]) -> dict[str, Figure]:
    """The combined distance against the code alone, unfiltered: default weights, and the worst of a grid."""
    queries = [query_of(q, index.schema, labels) for q, labels in zip(asked, products.query_labels, strict=True)]
    alone, default = [], []
    for query in queries:  # in turn
        alone += [timed(index, [query])["p50_ms"]]
        default += [timed(index, [query._replace(weights=DEFAULT)])["p50_ms"]]
    grid = {str(tuple(w)): timed(index, [q._replace(weights=w) for q in queries[:SLOW]])["p50_ms"] for w in GRID}
    worst = max(grid, key=lambda w: grid[w])
    code = float(np.median(alone))
    return {
        "code_ms": code, "default_ms": float(np.median(default)), "ratio": float(np.median(default)) / code,
        "worst_weights": worst, "worst_ms": grid[worst], "worst_ratio": grid[worst] / code,
    }  # fmt: skip


def approximate(index: Index, asked: Mapping[str, Sequence[Question]]) -> dict[str, Figure]:
    """Recall and time of the approximate mode by probes, unfiltered and under every kind of filter."""
    figures: dict[str, Figure] = {}
    for nprobe in PROBES:
        by_kind: dict[str, Times] = {}
        for name, every in asked.items():
            recalls, shares, exact, quick = [], [], [], []
            for question in every[: 3 * SLOW]:
                query = query_of(question, index.schema)
                started = time.perf_counter()
                truth = index.search(query)
                between = time.perf_counter()
                found = index.search(query._replace(nprobe=nprobe))
                exact.append(between - started)
                quick.append(time.perf_counter() - between)
                if truth.distances:
                    recalls.append(sum(d <= truth.distances[-1] for d in found.distances) / len(truth.distances))
                    shares.append(found.looked_at)
            by_kind[name] = {
                **spread(quick), "recall": float(np.mean(recalls or [1])), "looked_at": float(np.mean(shares or [1])),
                "ratio_to_exact": float(np.median(quick) / np.median(exact)),
            }  # fmt: skip
        figures[str(nprobe)] = by_kind
        none, least = by_kind["none"], min(kind["recall"] for kind in by_kind.values())
        log(f"nprobe {nprobe}: unfiltered recall {none['recall']:.4f} at {none['ratio_to_exact']:.2f} of exact, "
            f"{none['looked_at']:.3f} looked at; lowest recall under a filter {least:.4f}")  # fmt: skip
    return figures


def facet_times(index: Index, asked: Sequence[Question]) -> Figure:
    """Exact counts of all values under three filters of three groups: what they add to a search, and the whole of it."""
    queries = [query_of(q, index.schema) for q in asked]
    without = timed(index, queries)["p50_ms"]
    whole = timed(index, [q._replace(facets=True) for q in queries])
    return {**whole, "counts_ms": whole["p50_ms"] - without}


def opening(folder: Path, schema: Schema, queries: Sequence[Query], threads: int) -> dict[str, Figure]:
    """Milliseconds to open and to answer first, from a cold disk and warm."""
    figures: dict[str, Figure] = {}
    for name in ("cold", "warm"):
        if name == "cold":
            for file in folder.glob("*.hbs"):
                descriptor = os.open(file, os.O_RDONLY)
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
                os.close(descriptor)
        index = Index(folder, schema, threads)
        started = time.perf_counter()
        len(index)
        opened = time.perf_counter()
        index.search(queries[0])
        figures[name] = {"open_ms": (opened - started) * 1000, "first_query_ms": (time.perf_counter() - opened) * 1000}
    return figures


def make_peers(names: Sequence[str], table: Table, schema: Schema) -> dict[str, Peer]:
    """The peers that could be built in time."""
    makers: dict[str, Callable[[], Peer]] = {
        "faiss_flat": lambda: peers.FaissFlat(table, schema),
        "faiss_per_category": lambda: peers.FaissPerCategory(table, schema),
        "faiss_ivf": lambda: peers.FaissIvf(table, 32),
        "faiss_hnsw": lambda: peers.FaissHnsw(table, 64),
        "usearch_exact": lambda: peers.UsearchExact(table),
        "numpy": lambda: peers.Numpy(table, schema),
        "duckdb": lambda: peers.DuckDb(table),
    }
    made = {name: built(name, makers[name], log) for name in names}
    faiss.omp_set_num_threads(1)
    return {name: peer for name, peer in made.items() if peer is not None}


PEERS = ("faiss_flat", "faiss_per_category", "faiss_ivf", "faiss_hnsw", "usearch_exact", "numpy", "duckdb")


def main() -> None:
    """Read the command line, build, ask, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=positive, default=1_000_000)
    parser.add_argument("--bits", type=positive, default=512)
    parser.add_argument("--queries", type=positive, default=400)
    parser.add_argument("--threads", type=positive, default=1, help="of our index; the peers have one")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=PEERS)
    parser.add_argument("--codes", type=Path, help="of benchmarks.real_features: resample these instead of drawing")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the index is built")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    schema = Schema(load_vocabulary(), arguments.bits, "benchmark")
    log(f"drawing {arguments.items:,} products of {arguments.bits} bits")
    products = (
        draw(schema, arguments.items, arguments.queries) if arguments.codes is None
        else resample(schema, *real_codes(arguments.codes, schema), arguments.items, arguments.queries)
    )  # fmt: skip
    with tempfile.TemporaryDirectory(dir=arguments.folder, prefix="haberdash-benchmark-") as folder:
        try:
            write_figures(measured(Path(folder) / "index", schema, products, arguments), arguments.json)
        except NoRoom as wrong:
            fail(str(wrong))


def real_codes(file: Path, schema: Schema) -> tuple[Codes, Rows]:
    """Codes and category ids of real garments."""
    with np.load(file) as saved:
        ids = [schema.vocabulary.label_ids["category", str(c)] for c in saved["categories"]]
        return saved["codes"], np.array(ids)


def measured(folder: Path, schema: Schema, products: Products, arguments: argparse.Namespace) -> dict[str, Figure]:
    """All figures of one size."""
    table = products.table
    growth: dict[str, Figure] = {**build(folder, schema, table)}
    log(f"built {growth}")
    alive = table.take(np.setdiff1d(np.arange(len(table)), np.arange(0, len(table), DELETED)))
    asked = questions(products, schema, alive)
    none = [query_of(q, schema) for q in asked["none"][:SLOW]]
    growth |= {
        **opening(folder, schema, none, arguments.threads),
        "four_readers_mib": proportional_mib(folder, schema, 4),
    }
    log(f"opened {growth}")
    figures: dict[str, Figure] = {
        "items": len(table), "bits": schema.n_bits, "queries": len(products.queries), "threads": arguments.threads,
        "growth": growth,
    }  # fmt: skip
    index = Index(folder, schema, arguments.threads)
    others = make_peers(arguments.peers, alive, schema)
    compared = compare(index, alive, asked, others)
    read_ms = read_once(index, 20)
    return figures | compared | {
        "read_once_ms": read_ms,
        "ratios": ratios(compared, read_ms),
        "combined": combined(index, products, asked["none"]),
        "facets": facet_times(index, asked["3 attributes"]),
        "approximate": approximate(index, asked),
    }  # fmt: skip


def ratios(compared: Mapping[str, Mapping[str, Times]], read_ms: float) -> dict[str, Figure]:
    """Our medians over those of the peer that is named for each kind of question."""
    named = {"none": "faiss_flat", "category": "faiss_per_category", "category+2": "faiss_per_category"}
    found: dict[str, Figure] = {}
    for kind, ours in compared["ours"].items():
        peer = compared.get(named.get(kind, "faiss_flat"), {}).get(kind)
        if peer is not None:
            found[kind] = ours["p50_ms"] / peer["p50_ms"]
    found["none to one read"] = compared["ours"]["none"]["p50_ms"] / read_ms
    return found


if __name__ == "__main__":
    main()
