"""What the approximate mode finds on a live index, by how rare the filter is: kept with the index as certificate.json."""

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from attributes.report import Figure, progress
from attributes.vocabulary import load_vocabulary
from search.durable import Disk
from search.features import Features
from search.index import Index
from search.layer import Entry, Schema
from search.manifest import CERTIFICATE, read_current
from search.query import Query
from search.ranking import Preference
from search.where import Where

SELECTIVITIES = (1.0, 0.1, 0.01, 0.001)
PROBES = (16, 32, 64, 128, 256)
K, N_QUERIES, SEED = 50, 100, 7
WITHIN = 3.0  # times as rare or as common as asked for a filter may be


class NothingToCertify(ValueError):
    """An index with too few products to measure recall on."""


def certify(folder: Path) -> dict[str, Figure]:
    """Measure recall@50 on the index of a folder by selectivity and probes, and store it there.

    Queries are products of the index with their labels as wishes, themselves left out; filters are conjunctions of up to three
    of their own labels. Raises NothingToCertify, and what reading an index raises.
    """
    manifest = read_current(folder)
    if manifest is None:
        raise NothingToCertify(f"{folder} holds no index")
    schema = Schema(load_vocabulary(), manifest.n_bits, manifest.features)
    index = Index(folder, schema)
    if len(index) < 2 * K:
        raise NothingToCertify(f"recall@{K} needs at least {2 * K} products, {folder} has {len(index)}")
    found: dict[str, dict[str, list[tuple[float, float]]]] = {str(n): {} for n in PROBES}
    entries = _sample(index)
    for entry in progress(entries, len(entries), "certified"):
        for selectivity, where in _filters(index, entry).items():
            query = _query(entry, where)
            exact = index.search(query)
            if not exact.distances:
                continue
            for nprobe in PROBES:
                near = index.search(query._replace(nprobe=nprobe))
                recall = sum(d <= exact.distances[-1] for d in near.distances) / len(exact.distances)
                found[str(nprobe)].setdefault(str(selectivity), []).append((recall, near.looked_at))
    certificate: dict[str, Figure] = {
        "generation": index.snapshot().generation, "products": len(index), "k": K, "queries": len(entries),
        "nprobe": {n: {s: _means(pairs) for s, pairs in by.items()} for n, by in found.items()},
    }  # fmt: skip
    disk = Disk()
    disk.write_file(folder / CERTIFICATE, [(json.dumps(certificate, indent=2) + "\n").encode()])
    disk.sync_folder(folder)
    return certificate


def _means(pairs: Sequence[tuple[float, float]]) -> dict[str, Figure]:
    recalls, shares = zip(*pairs, strict=True)
    return {"recall": float(np.mean(recalls)), "looked_at": float(np.mean(shares)), "queries": len(pairs)}


def _sample(index: Index) -> list[Entry]:
    """Some products of all layers, the same ones for the same generation."""
    random, snapshot = np.random.default_rng(SEED), index.snapshot()
    skus = index.search(Query(limit=len(snapshot), facets=False)).skus
    chosen = random.choice(len(skus), min(N_QUERIES, len(skus)), replace=False)
    return [index.entry(skus[i]) for i in chosen]


def _filters(index: Index, entry: Entry) -> dict[float, Where]:
    """For each selectivity, the conjunction of the product's labels that comes nearest to it, if one comes near."""
    labels, n = index.schema.vocabulary.labels, len(index)
    options: list[tuple[float, Where]] = [(1.0, Where())]
    for size in (1, 2, 3):
        for chosen in combinations(entry.labels, size):
            wanted: dict[str, tuple[tuple[str, ...], ...]] = {}
            for label in chosen:
                group, value = labels[label]
                wanted[group] = ((*(wanted[group][0] if group in wanted else ()), value),)
            where = Where(wanted)
            options.append((index.count(where) / n, where))
    found = {}
    for selectivity in SELECTIVITIES:
        share, where = min(options, key=lambda option: abs(np.log(max(option[0], 1e-12) / selectivity)))
        if selectivity / WITHIN <= share <= selectivity * WITHIN:
            found[selectivity] = where
    return found


def _query(entry: Entry, where: Where) -> Query:
    wishes = [Preference(label, 1.0) for label in entry.labels]
    return Query(
        Features(entry.code, entry.colour), wishes, where, limit=K, without=frozenset({entry.sku}), facets=False,
        relax=False,
    )  # fmt: skip
