"""Is the second level worth it? A pool gathered by codes and ranked by floats, against all floats (search.evaluate).

Shapes in this module:
    N  items      C  channels of the float features
"""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from attributes.report import Figure, progress
from attributes.vocabulary import Vocabulary
from search.gallery import Item
from search.index import Index
from search.layer import Entry, Schema
from search.query import Fine, Query
from search.ranking import CODE_ALONE
from search.writer import IndexWriter

SHARE = 0.001  # of the gallery that is the pool
K = 10


def unit(activations: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Activations as a vector of length 1: Euclidean distances then order as cosines do.  (C,)."""
    return np.asarray(activations / max(float(np.linalg.norm(activations)), 1e-12), np.float32)


def hierarchical_figures(
    items: Sequence[Item], n_queries: int, vocabulary: Vocabulary, n_bits: int
) -> dict[str, Figure]:
    """precision@10 of the category: by the codes, by a pool of SHARE of the gallery ranked by floats, and by all floats.

    The first `n_queries` items ask a real index of all items; those of a query's own group are left out.
    """
    floats = np.stack([unit(i.activations) for i in items])
    schema = replace(Schema(vocabulary, n_bits, "hierarchical"), n_floats=floats.shape[1])
    skus = [f"i{n}" for n in range(len(items))]
    categories = {sku: item.garment.labels.category for sku, item in zip(skus, items, strict=True)}
    by_group: dict[str, list[str]] = {}
    for sku, item in zip(skus, items, strict=True):
        by_group.setdefault(item.garment.group, []).append(sku)
    entries = [
        Entry(sku, i.features.code, i.features.colour, (), None, (), f)
        for sku, i, f in zip(skus, items, floats, strict=True)
    ]
    size = ceil(SHARE * len(items))
    right: dict[str, list[float]] = {"code": [], "hierarchical": [], "exhaustive": []}
    with TemporaryDirectory() as folder:
        with IndexWriter(Path(folder), schema) as writer:
            writer.apply(entries)
        index = Index(Path(folder), schema)
        for q in progress(range(n_queries), n_queries, "asked"):
            item = items[q]
            query = Query(
                item.features,
                limit=K,
                without=frozenset(by_group[item.garment.group]),
                weights=CODE_ALONE,
                facets=False,
            )
            asked = {
                "code": query, "hierarchical": query._replace(fine=Fine(floats[q], size)),
                "exhaustive": query._replace(fine=Fine(floats[q], len(items))),
            }  # fmt: skip
            for name, one in asked.items():
                answer = index.search(one)
                right[name].append(float(np.mean([categories[s] == item.garment.labels.category for s in answer.skus])))
    return {"pool": size, "gallery": len(items), **{f"{n}_precision@{K}": float(np.mean(v)) for n, v in right.items()}}
