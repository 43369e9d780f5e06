"""The exact k nearest rows by the combined distance, without computing most of it.

Shapes in this module:
    B  words of a bitmap, 64 rows each      P  preferences      K  results      R  runs of rows
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from search import kernels, pruning
from search.epoch import View
from search.features import Features
from search.filtering import Mask
from search.layer import Layer, Schema
from search.postings import Bits, Rows
from search.ranking import Preference, Weights, scale, shares

SPLIT = 1 << 17  # rows from which a scan is cut for several threads
ROOM = 3  # times k: rows gathered before they are cut to the k nearest


class Found(NamedTuple):
    """Rows, nearest first.  views, rows: (K,) where each is; distances: (K,)."""

    views: Rows
    rows: Rows
    distances: npt.NDArray[np.float64]

    def page(self, offset: int, end: int | None = None) -> "Found":
        """Some of them."""
        return Found(self.views[offset:end], self.rows[offset:end], self.distances[offset:end])


class Wanted(NamedTuple):
    """What is near: a query translated for the kernels.  units: (3,); shares: (P,) of the preferences that count."""

    features: Features
    units: Rows
    scale: int
    labels: tuple[tuple[int, int], ...]  # per preference its posting, and that of its group
    shares: Rows


class Part(NamedTuple):
    """What one scan looks at.  lacking: (P, B); runs: (R, 2) rows in the order in which they are visited.

    is_whole: runs is one run of all rows of the mask's window.
    """

    view: View
    mask: Mask
    lacking: Bits
    runs: Rows
    is_whole: bool = True


def wanted(features: Features, preferences: Sequence[Preference], weights: Weights, schema: Schema) -> Wanted:
    """Translate features and preferences; those that count nothing are left out. Raises BadWeights."""
    units, whole = _scales(weights, schema.n_bits)
    if not preferences or not weights.labels:
        return Wanted(features, units, whole, (), _NONE)
    labels, groups = schema.labels, schema.vocabulary.labels
    counted = [
        (p.label, labels.group_posting(groups[p.label][0]), share)
        for p, share in zip(preferences, shares(preferences), strict=True)
        if share
    ]
    said = tuple((label, group) for label, group, _ in counted)
    return Wanted(features, units, whole, said, np.array([s for *_, s in counted], np.int64))


_NONE = np.zeros(0, np.int64)


@lru_cache(256)
def _scales(weights: Weights, n_bits: int) -> tuple[Rows, int]:
    return weights.units(n_bits), scale(n_bits, weights)


def part_of(view: View, mask: Mask, sought: Wanted) -> Part:
    """Everything of a view that a scan needs."""
    lacking = np.empty((len(sought.labels), len(mask.bits)), np.uint64)
    for i, (label, group) in enumerate(sought.labels):
        bits = view.layer.postings.bits
        np.bitwise_and(bits(group, mask.first, mask.end), ~bits(label, mask.first, mask.end), out=lacking[i])
    low, high = mask.first * 64, min(mask.end * 64, len(view.layer))
    return Part(view, mask, lacking, np.array([[low, high]]))


@dataclass
class Scanner:
    """Scans parts on one thread or several."""

    schema: Schema
    threads: int = 1
    _pool: ThreadPoolExecutor | None = None

    def nearest(self, parts: Sequence[Part], sought: Wanted, k: int, bound: int = kernels.FAR) -> Found:
        """The k nearest rows of all parts, no farther than `bound`; ties by sku. k is at most the rows there are."""
        heaps: list[Rows] = []
        for part in parts:
            heap = self._scan(part, sought, k, bound)
            heaps.append(heap)
            if heap.shape[1] == k and k:
                bound = min(bound, int(heap[0, -1]))
        return _merged(parts, heaps, k, sought.scale)

    def _scan(self, part: Part, sought: Wanted, k: int, bound: int) -> Rows:
        """The nearest rows of one part, sorted: distance and row; (2, at most k)."""
        per_bit, layer = int(sought.units[0]), part.view.layer
        if not part.is_whole or not per_bit or part.mask.n < pruning.WORTH:
            return self._on_threads(part, sought, k, bound, part.runs)
        low, high = part.runs[0].tolist()
        clusters = pruning.divided(layer, low, high, sought.features.code)
        if clusters is None:
            return self._on_threads(part, sought, k, bound, part.runs)
        found = self._kernel(part, sought, k, bound, clusters.first)
        if found.shape[1] == k:
            bound = min(bound, int(found[0, -1]))
        rest = clusters.within(bound // per_bit)
        return _both(found, self._on_threads(part, sought, k, bound, rest), layer, k) if len(rest) else found

    def _on_threads(self, part: Part, sought: Wanted, k: int, bound: int, runs: Rows) -> Rows:
        if self.threads == 1 or int((runs[:, 1] - runs[:, 0]).sum()) < SPLIT:
            return self._kernel(part, sought, k, bound, runs)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads)
        scans = [self._pool.submit(self._kernel, part, sought, k, bound, cut) for cut in _split(runs, self.threads)]
        return _both(scans[0].result(), np.concatenate([s.result() for s in scans[1:]], axis=1), part.view.layer, k)

    def _kernel(self, part: Part, sought: Wanted, k: int, bound: int, runs: Rows) -> Rows:
        layer, mask = part.view.layer, part.mask
        found = np.empty((2, ROOM * k + 64), np.int64)
        n = kernels.scanner(self.schema.n_words)(
            layer.codes, layer.colours, layer.ties, mask.bits, mask.first, runs, sought.features.code,
            sought.features.colour, part.lacking, sought.shares, sought.units, bound, k, found,
        )  # fmt: skip
        return found[:, :n]


def _both(found: Rows, more: Rows, layer: Layer, k: int) -> Rows:
    """The k nearest of two lots of rows of one layer, sorted."""
    every = np.concatenate([found, more], axis=1)
    return every[:, np.lexsort((layer.ties[every[1]], every[0]))][:, :k]


def _split(runs: Rows, n: int) -> list[Rows]:
    """Runs of about the same number of rows for each thread: every run is cut in n."""
    sizes = runs[:, 1] - runs[:, 0]
    cuts = [runs[:, 0] + sizes * i // n for i in range(n + 1)]
    return [np.stack([a, b], axis=1) for a, b in pairwise(cuts)]


def _merged(parts: Sequence[Part], heaps: Sequence[Rows], k: int, scale: int) -> Found:
    """The k nearest of several sorted heaps; ties between layers by their skus."""
    filled = [i for i, heap in enumerate(heaps) if heap.shape[1]]
    if not filled:
        return Found(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    if len(filled) == 1:
        heap = heaps[filled[0]]
        return Found(np.full(heap.shape[1], filled[0], np.int64), heap[1], heap[0] / scale)
    views = np.repeat(filled, [heaps[i].shape[1] for i in filled])
    distances = np.concatenate([heaps[i][0] for i in filled])
    rows = np.concatenate([heaps[i][1] for i in filled])
    skus = [s for i in filled for s in parts[i].view.layer.skus(heaps[i][1])]
    order = sorted(range(len(rows)), key=lambda i: (distances[i], skus[i]))[:k]
    return Found(views[order], rows[order], distances[order] / scale)
