"""What can be asked of the index, and what it answers.

Shapes in this module:
    F  float features      K  results
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from search.features import Features
from search.ranking import DEFAULT, Preference, Weights
from search.where import Where


class BadPage(ValueError):
    """A limit, offset or number of probes that is negative."""


class Fine(NamedTuple):
    """The second level of Lin et al. 2015 (section 3.3): the pool that the codes gather is ranked by Euclidean distance.

    floats: (F,), finite.  size: products in the pool.  threshold: bits within which products are gathered, no more than size.
    """

    floats: npt.NDArray[np.float32]
    size: int = 1000
    threshold: int | None = None


class Query(NamedTuple):
    """What is searched: features (None orders by sku), preferences in the distance, filters, and the page.

    among: only these skus count; without features their order stays.  without: these do not.
    facets, relax: whether facets are counted, and near misses follow where fewer than `limit` match.
    nprobe: approximate mode: look only at so many of the nearest clusters; None is exact.  fine: the second level.
    """

    features: Features | None = None
    preferences: Sequence[Preference] = ()
    where: Where = Where()
    limit: int = 24
    offset: int = 0
    generation: int | None = None
    among: Sequence[str] | None = None
    without: frozenset[str] = frozenset()
    weights: Weights = DEFAULT
    facets: bool = True
    relax: bool = True
    nprobe: int | None = None
    fine: Fine | None = None

    def check(self) -> None:
        """Raise BadPage for what cannot be a page."""
        for name, n in (("limit", self.limit), ("offset", self.offset), ("nprobe", self.nprobe or 1)):
            if n < 0:
                raise BadPage(f"{name} cannot be {n}")


class Why(NamedTuple):
    """Why a product is where it is: parts of the distance (each 0 to 1), the preferences shared and missing, weights."""

    code: float
    colour: float
    labels: float
    shared: tuple[int, ...]
    missing: tuple[int, ...]
    weights: Weights


class Hit(NamedTuple):
    """One result. breaks: the filters that it does not match, as written; empty but for relaxed results.

    why is None where nothing was compared. distance is that of the features where a fine step ranked.
    """

    sku: str
    distance: float
    why: Why | None
    breaks: tuple[str, ...] = ()


@dataclass
class Answer:
    """What a search found. total and facets are exact, whatever limit and offset.

    looked_at: share of the matching products that were compared; 1 unless the approximate mode was asked for.
    skus, distances: of the page; `hits` says why as well, and is made when it is first asked for.
    """

    generation: int
    total: int
    skus: list[str]
    distances: list[float]
    explained: Callable[[], list[Hit]] = field(compare=False, repr=False)
    facets: dict[str, dict[str, int]] = field(default_factory=dict)
    relaxed: list[Hit] = field(default_factory=list)
    looked_at: float = 1.0

    @cached_property
    def hits(self) -> list[Hit]:
        """The page, each product with its reasons."""
        return self.explained()


class Explanation(NamedTuple):
    """Why a product is where it is in a query's results, or why it is not there.

    is_indexed: it is in the index at all.  is_left_out: the query excludes its sku.  breaks: the filters that it does not match.
    rank: its place among all matches, from 0, where it is one.
    """

    sku: str
    is_indexed: bool
    is_left_out: bool
    breaks: tuple[str, ...]
    rank: int | None
    hit: Hit | None
