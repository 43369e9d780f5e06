"""The approximate mode: only the clusters nearest to the query are scanned. Asked for, never silent.

Shapes in this module:
    C  clusters      P  preferences
"""

import numpy as np

from search import kernels
from search.layer import Schema
from search.nearest import Part, Wanted
from search.postings import Rows

# Matching products that are looked at before probing may end, per result asked for: rare filters leave few in each cluster, and
# the fewer match, the nearer to exact the search becomes.
LEAST_PER_RESULT = 200


def probed(part: Part, sought: Wanted, schema: Schema, nprobe: int, k: int) -> tuple[Part, int]:
    """Restrict a part to its nearest clusters that hold matches, and say how many matching rows are left to look at.

    A cluster's distance is that of its centre, with its share of rows that lack each preference.
    """
    layer, mask = part.view.layer, part.mask
    n_clusters = len(layer.centres)
    if n_clusters <= nprobe:
        return part, mask.n
    runs = np.stack([layer.runs[:-1], layer.runs[1:]], axis=1)
    inside = np.clip(runs, mask.first * 64, mask.end * 64)
    matching = np.empty(n_clusters, np.int64)
    kernels.count_runs(mask.bits, mask.first, inside, matching)
    far = np.empty(n_clusters, np.int64)
    kernels.pairwise(schema.n_words)(layer.flat_centres, np.arange(n_clusters), sought.features.code, far)
    scores = far * sought.units[0] + _lacking(part, sought, inside)
    order = np.argsort(scores)
    order = order[matching[order] > 0]
    reached = np.cumsum(matching[order])
    enough = int(np.searchsorted(reached, min(LEAST_PER_RESULT * k, int(reached[-1]) if len(reached) else 0))) + 1
    chosen = order[: max(nprobe, enough)]
    return part._replace(runs=inside[chosen]), int(matching[chosen].sum())


def _lacking(part: Part, sought: Wanted, runs: Rows) -> Rows:
    """What the labels add to each cluster's distance, on average; (C,)."""
    added = np.zeros(len(runs), np.int64)
    sizes = np.maximum(runs[:, 1] - runs[:, 0], 1)
    counts = np.empty(len(runs), np.int64)
    for lacking, share in zip(part.lacking, sought.shares.tolist(), strict=True):
        kernels.count_runs(lacking, part.mask.first, runs, counts)
        added += counts * share * int(sought.units[2]) // sizes
    return added
