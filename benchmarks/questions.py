"""What engines are asked, and how long they take: shared by the benchmarks of search.

Shapes in this module:
    K  results asked for
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.products import Products
from search.features import Features
from search.layer import Schema, Table
from search.query import Query
from search.ranking import CODE_ALONE, Preference
from search.where import Where
from search.writer import IndexWriter

K = 50
DELETED = 100  # one product in so many

Times = dict[str, float]


class Question(NamedTuple):
    """What is asked, in label ids.  price: lowest and highest cent."""

    features: Features
    category: int | None = None
    wanted: tuple[int, ...] = ()
    unwanted: tuple[int, ...] = ()
    price: tuple[int, int] | None = None


def log(text: str) -> None:
    """Say how far it is."""
    print(text, file=sys.stderr, flush=True)


def questions(products: Products, schema: Schema, alive: Table) -> dict[str, list[Question]]:
    """The questions by kind; attributes are the query's own."""
    groups = [group for group, _ in schema.vocabulary.labels]
    asked: dict[str, list[Question]] = {
        name: [] for name in ("none", "category", "category+2", "3 attributes", "not", "price", "price 0.1 %")
    }
    prices = np.sort(alive.numbers[0])
    for features, labels, price in zip(products.queries, products.query_labels, products.query_prices, strict=True):
        own = list({groups[label]: label for label in reversed(labels) if groups[label] != "category"}.values())
        asked["none"].append(Question(features))
        asked["category"].append(Question(features, labels[0]))
        if len(own) >= 3:
            asked["category+2"].append(Question(features, labels[0], tuple(own[:2])))
            asked["3 attributes"].append(Question(features, None, tuple(own[:3])))
            asked["not"].append(Question(features, None, tuple(own[:2]), (_other(own[2], schema),)))
        at = int(np.searchsorted(prices, price))
        for name, share in (("price", 0.01), ("price 0.1 %", 0.001)):
            half = max(int(len(prices) * share / 2), 1)
            low = min(max(at - half, 0), len(prices) - 1)
            asked[name].append(
                Question(features, price=(int(prices[low]), int(prices[min(at + half, len(prices) - 1)])))
            )
    return asked


def _other(label: int, schema: Schema) -> int:
    """Another value of the label's group."""
    low, high = next(r for r in schema.labels.groups.values() if r[0] <= label < r[1])
    return low if label != low else min(label + 1, high - 1)


def query_of(question: Question, schema: Schema, labels: Sequence[int] = ()) -> Query:
    """The same for our index: code alone, no near misses and no counts, as the peers have none."""
    said = schema.vocabulary.labels
    wanted: dict[str, tuple[tuple[str, ...], ...]] = {}
    for label in (*question.wanted, *([] if question.category is None else [question.category])):
        wanted[said[label][0]] = ((said[label][1],),)
    unwanted: dict[str, tuple[str, ...]] = {said[label][0]: (said[label][1],) for label in question.unwanted}
    where = Where(wanted, unwanted, {} if question.price is None else {"price": question.price})
    wishes = [Preference(label, 0.8) for label in labels]
    return Query(question.features, wishes, where, limit=K, weights=CODE_ALONE, facets=False, relax=False)


def spread(laps: Sequence[float]) -> Times:
    """Median and 95th percentile in milliseconds."""
    return {"p50_ms": float(np.percentile(laps, 50) * 1000), "p95_ms": float(np.percentile(laps, 95) * 1000)}


def build(folder: Path, schema: Schema, table: Table) -> Times:
    """Write the index and delete one product in DELETED; seconds, products a second, bytes a product."""
    gone = table.names.take(np.arange(0, len(table), DELETED)).tolist()
    with IndexWriter(folder, schema) as writer:
        started = time.perf_counter()
        writer.apply(table)
        took = time.perf_counter() - started
        for low in range(0, len(gone), 4000):
            writer.apply([], gone[low : low + 4000])
    size = sum(f.stat().st_size for f in folder.iterdir())
    return {"build_s": took, "products_per_s": len(table) / took, "bytes_per_product": size / len(table)}
