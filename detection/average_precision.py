"""Average precision from matched detections: per category, in one ranking, and over bootstrap draws of photos.

Matching is pycocotools' own; this file only counts what it matched, in its way (101 recall points).

Shapes in this module:
    D  detections of a category, best first      P  photos
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
RECALLS = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Matched:
    """A category's detections at one IoU, those on ignored regions left out.

    scores, hits, photos: (D,), photos as positions; n_true: (P,), its true boxes in each photo.
    """

    scores: Floats
    hits: npt.NDArray[np.bool_]
    photos: npt.NDArray[np.int64]
    n_true: npt.NDArray[np.int64]


def average_precision(matched: Matched, weights: npt.NDArray[np.int64] | None = None) -> float:
    """Area under the interpolated precision at 101 recalls; nan without a true box.

    weights: (P,), how often each photo counts (a bootstrap draw); once by default.
    """
    weights = np.ones(len(matched.n_true), np.int64) if weights is None else weights
    n_true = int((matched.n_true * weights).sum())
    if n_true == 0:
        return float("nan")
    order = np.argsort(-matched.scores, kind="mergesort")
    counts = weights[matched.photos[order]]
    hits = np.cumsum(matched.hits[order] * counts)
    everything = np.cumsum(counts)
    if len(hits) == 0:
        return 0.0
    recall, precision = hits / n_true, hits / np.maximum(everything, 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, RECALLS, side="left")
    return float(np.where(at < len(envelope), envelope[np.minimum(at, len(envelope) - 1)], 0.0).mean())


def mean_average_precision(matched: Sequence[Matched], weights: npt.NDArray[np.int64] | None = None) -> float:
    """Mean over the categories that have a true box."""
    return float(np.nanmean([average_precision(m, weights) for m in matched]))


def one_ranking(matched: Sequence[Matched]) -> Matched:
    """All categories' detections as if they were one category's."""
    return Matched(
        np.concatenate([m.scores for m in matched]),
        np.concatenate([m.hits for m in matched]),
        np.concatenate([m.photos for m in matched]),
        np.sum([m.n_true for m in matched], axis=0),
    )


def bootstrap_interval(matched: Sequence[Matched], n_draws: int = 300, seed: int = 7) -> tuple[float, float]:
    """95 % interval of the mean over categories, photos drawn with replacement."""
    random = np.random.default_rng(seed)
    n_photos = len(matched[0].n_true)
    drawn = [np.bincount(random.integers(0, n_photos, n_photos), minlength=n_photos) for _ in range(n_draws)]
    low, high = np.percentile([mean_average_precision(matched, w) for w in drawn], [2.5, 97.5])
    return float(low), float(high)
