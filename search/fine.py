"""The second level: a pool gathered by codes, ranked by the Euclidean distance of the features (Lin et al. 2015, section 3.3).

Shapes in this module:
    K  products in the pool      F  float features
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from search import kernels
from search.codes import WidthMismatch
from search.epoch import View
from search.layer import BadFeatures, Schema
from search.nearest import Found, Wanted
from search.query import BadPage, Fine


def check(fine: Fine, schema: Schema) -> None:
    """Raise WidthMismatch, BadFeatures or BadPage for what cannot be ranked."""
    if not schema.n_floats:
        raise WidthMismatch("the index keeps no float features; a fine step needs them")
    if fine.floats.shape != (schema.n_floats,):
        raise WidthMismatch(f"the index keeps {schema.n_floats} float features, the query has {fine.floats.shape}")
    if not np.isfinite(fine.floats).all():
        raise BadFeatures("the query's float features are not finite")
    if fine.size < 1 or (fine.threshold is not None and fine.threshold < 0):
        raise BadPage(
            f"a pool has at least one product and a threshold of 0 bits or more, not {fine.size}, {fine.threshold}"
        )


def bound(fine: Fine, sought: Wanted, schema: Schema) -> int:
    """The largest distance of codes at which a product is gathered."""
    return kernels.FAR if fine.threshold is None else fine.threshold * int(sought.units[0])


def ranked(views: Sequence[View], pool: Found, fine: Fine) -> Found:
    """The pool by Euclidean distance; ties by sku."""
    squared = np.empty(len(pool.rows), np.float32)
    skus = np.empty(len(pool.rows), object)
    query = np.ascontiguousarray(fine.floats, np.float32)
    for at, view in enumerate(views):
        places = np.flatnonzero(pool.views == at)
        if len(places):
            out = np.empty(len(places), np.float32)
            rows = pool.rows[places]
            kernels.squared_distances(view.layer.table.floats, rows, query, _singles(), out)
            squared[places], skus[places] = out, view.layer.skus(rows)
    order = np.lexsort((skus, squared)) if len(skus) else np.zeros(0, np.int64)
    return Found(pool.views[order], pool.rows[order], np.sqrt(squared[order].astype(np.float64)))


@cache
def _singles() -> npt.NDArray[np.float32]:
    return np.asarray(kernels.half_to_single())
