"""The approximate mode: only the clusters nearest to the query are scanned. Asked for, never silent.

Shapes in this module:
    C  clusters      P  preferences
"""

import numpy as np

from search import bitmaps, kernels
from search.layer import Schema
from search.nearest import Part, Wanted
from search.postings import Rows

# Matching products that are looked at before probing may end, per result asked for: rare filters leave few in each cluster, and
# the fewer match, the nearer to exact the search becomes.
LEAST_PER_RESULT = 200
AT_ONCE = 4  # times nprobe: clusters that are sorted first; all of them only where these hold too few matches


def probed(part: Part, sought: Wanted, schema: Schema, nprobe: int, k: int) -> tuple[Part, int]:
    """Restrict a part to its nearest clusters that hold matches, and say how many matching rows are left to look at.

    A cluster's distance is that of its centre, with its share of rows that lack each preference.
    """
    layer, mask = part.view.layer, part.mask
    n_clusters = len(layer.centres)
    if n_clusters <= nprobe:
        return part, mask.n
    runs = np.clip(layer.bounds, mask.first * 64, mask.end * 64)
    scores = np.empty(n_clusters, np.int64)
    every = np.arange(n_clusters)
    kernels.pairwise(schema.n_words)(layer.flat_centres, every, sought.features.code, scores)
    scores = scores * sought.units[0] + _lacking(part, sought, runs)
    enough = min(LEAST_PER_RESULT * k, mask.n)
    for n_near in (min(AT_ONCE * nprobe, n_clusters), n_clusters):
        near = np.argpartition(scores, n_near - 1)[:n_near]
        near = near[np.argsort(scores[near])]
        matching = np.empty(n_near, np.int64)
        bitmaps.count_runs(mask.bits, mask.first, runs[near], matching)
        near, matching = near[matching > 0], matching[matching > 0]
        reached = np.cumsum(matching)
        if len(near) and len(near) >= nprobe and reached[-1] >= enough:
            break
    n_probed = max(nprobe, int(np.searchsorted(reached, enough)) + 1)
    return part._replace(runs=runs[near[:n_probed]], is_whole=False), int(matching[:n_probed].sum())


def _lacking(part: Part, sought: Wanted, runs: Rows) -> Rows:
    """What the labels add to each cluster's distance, on average; (C,)."""
    added = np.zeros(len(runs), np.int64)
    if not len(sought.shares):
        return added
    sizes = np.maximum(runs[:, 1] - runs[:, 0], 1)
    counts = np.empty(len(runs), np.int64)
    for lacking, share in zip(part.lacking, sought.shares.tolist(), strict=True):
        bitmaps.count_runs(lacking, part.mask.first, runs, counts)
        added += counts * share * int(sought.units[2]) // sizes
    return added
