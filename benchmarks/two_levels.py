"""Codes first, floats for the pool, against FAISS's exact float search: python -m benchmarks.two_levels --json FILE.

Shapes in this module:
    N  products      F  float features      P  prototypes
"""

import argparse
import tempfile
import time
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

from attributes.report import Figure, positive, write_figures
from attributes.vocabulary import load_vocabulary
from benchmarks.products import numbered
from benchmarks.questions import log, spread
from search.codes import Codes, random_directions
from search.features import Features
from search.index import Index
from search.layer import Schema, Table
from search.query import Fine, Query
from search.ranking import CODE_ALONE
from search.writer import IndexWriter

Floats = npt.NDArray[np.float32]

K, SEED, CHUNK = 50, 7, 50_000
PER_PROTOTYPE = 50
BATCHED = 100  # queries that FAISS is also asked at once


def draw(n: int, width: int, n_bits: int, n_queries: int) -> tuple[Floats, Codes]:
    """Unit vectors round prototypes round 24 centres, and the signs of their projections; (n + n_queries, F) and (.., W)."""
    random = np.random.default_rng(SEED)
    centres = random.normal(size=(24, width)).astype(np.float32)
    prototypes = centres[random.integers(24, size=n // PER_PROTOTYPE)] * 0.7
    prototypes += random.normal(size=prototypes.shape).astype(np.float32)
    directions = random_directions(width)[:, :n_bits]
    floats = np.empty((n + n_queries, width), np.float32)
    codes = np.empty((n + n_queries, n_bits // 64), np.uint64)
    for low in range(0, len(floats), CHUNK):
        part = floats[low : low + CHUNK]
        noise = random.standard_normal(part.shape, np.float32) * random.uniform(0.4, 0.9, (len(part), 1)).astype(
            np.float32
        )
        part[:] = prototypes[random.integers(len(prototypes), size=len(part))] + noise
        part /= np.linalg.norm(part, axis=1, keepdims=True)
        codes[low : low + CHUNK] = np.packbits(part @ directions > 0, axis=1, bitorder="little").view("<u8")
    return floats, codes


def resample(real: Floats, n: int, n_bits: int, n_queries: int) -> tuple[Floats, Codes]:
    """Real garments' features with noise that flips some 8-16 % of their bits, as unit vectors, and their signs.

    real: (R, F), projected already (benchmarks.real_features): a code is the signs of the first coordinates.
    """
    random = np.random.default_rng(SEED)
    real = real / np.linalg.norm(real, axis=1, keepdims=True)
    floats = np.empty((n + n_queries, real.shape[1]), np.float32)
    codes = np.empty((n + n_queries, n_bits // 64), np.uint64)
    for low in range(0, len(floats), CHUNK):
        part = floats[low : low + CHUNK]
        noise = random.standard_normal(part.shape, np.float32) / np.float32(real.shape[1] ** 0.5)
        noise *= np.tan(random.uniform(0.08, 0.16, (len(part), 1)) * np.pi).astype(
            np.float32
        )  # a bit flips with angle / pi
        part[:] = real[random.integers(len(real), size=len(part))] + noise
        part /= np.linalg.norm(part, axis=1, keepdims=True)
        codes[low : low + CHUNK] = np.packbits(part[:, :n_bits] > 0, axis=1, bitorder="little").view("<u8")
    return floats, codes


def measured(floats: Floats, codes: Codes, n: int, share: float, folder: Path) -> dict[str, Figure]:
    """Times of both one query at a time, FAISS's in a batch, and recall@50 of the float order. Rows from n on are queries."""
    width, n_bits = floats.shape[1], codes.shape[1] * 64
    schema = Schema(load_vocabulary(), n_bits, "two levels", n_floats=width)
    colours = np.zeros((n, 64), np.uint8)
    labels = np.zeros((n, schema.labels.n_words), np.uint64)
    halves = floats[:n].astype(np.float16).view(np.uint16)
    table = Table(numbered(n), codes[:n], colours, labels, np.full((1, n), -1), halves)
    with IndexWriter(folder, schema) as writer:
        started = time.perf_counter()
        writer.apply(table)
        log(f"built in {time.perf_counter() - started:.0f} s")
    row_of = {sku: row for row, sku in enumerate(table.names.tolist())}
    del table, halves
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlatL2(width)
    flat.add(floats[:n])
    asked = floats[n:]
    index, pool = Index(folder, schema), int(n * share)
    queries = [
        Query(Features(code, colours[0]), limit=K, weights=CODE_ALONE, facets=False, fine=Fine(f, pool))
        for code, f in zip(codes[n:], asked, strict=True)
    ]
    index.search(queries[0])
    ours, theirs, recalls = [], [], []
    answers = []
    for query in queries:
        started = time.perf_counter()
        answers.append(index.search(query))
        ours.append(time.perf_counter() - started)
    for f, answer in zip(asked, answers, strict=True):
        started = time.perf_counter()
        _, ids = flat.search(f[None], K)
        theirs.append(time.perf_counter() - started)
        recalls.append(len({row_of[sku] for sku in answer.skus} & set(ids[0].tolist())) / K)
    started = time.perf_counter()
    flat.search(np.resize(asked, (BATCHED, width)), K)
    batched = (time.perf_counter() - started) / BATCHED
    return {
        "items": n, "floats": width, "bits": n_bits, "pool": pool, "ours": spread(ours), "faiss_flat_l2": spread(theirs),
        "faiss_batched_ms": batched * 1000, "times_faster": float(np.median(theirs) / np.median(ours)),
        "recall@50": float(np.mean(recalls)),
    }  # fmt: skip


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=positive, default=1_000_000)
    parser.add_argument("--floats", type=positive, default=1280)
    parser.add_argument("--bits", type=positive, default=512)
    parser.add_argument("--queries", type=positive, default=40)
    parser.add_argument("--pool", type=float, default=0.001, help="share of the products")
    parser.add_argument("--features", type=Path, help="of benchmarks.real_features: resample these instead of drawing")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if given.features is None:
        floats, codes = draw(given.items, given.floats, given.bits, given.queries)
    else:
        with np.load(given.features) as saved:
            floats, codes = resample(saved["floats"].astype(np.float32), given.items, given.bits, given.queries)
    with tempfile.TemporaryDirectory(prefix="haberdash-two-levels-") as folder:
        figures = measured(floats, codes, given.items, given.pool, Path(folder) / "index")
    write_figures(figures, given.json)


if __name__ == "__main__":
    main()
