"""Confidence that means what it says: a logistic map from what the model thought to how often it is right.

Two things are known of an emitted label: its probability given the labels before it (the speller), and its probability
by itself (the heads). The map is fitted on garments that were kept from training, once for free and once for guided
reading, so that what is shown to people is a marginal.

Shapes in this module:
    N  emitted labels      K  coefficients: the bias, speller, heads, and a bias for category and for groups of several
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
N_COEFFICIENTS = 5


def evidence(step: float, marginal: float, is_category: bool, is_multi: bool) -> Floats:
    """What the map sees of one emitted label; (K,)."""
    return np.array([1.0, _logit(step), _logit(marginal), float(is_category), float(is_multi)])


@dataclass(frozen=True)
class Calibration:
    """The coefficients of a fitted map, (K,)."""

    coefficients: tuple[float, ...] = (0.0, 1.0, 0.0, 0.0, 0.0)  # as the speller says, uncalibrated

    def confidence(self, seen: Floats) -> float:
        """Probability in (0, 1) that the label is right."""
        return float(_logistic(seen @ np.array(self.coefficients)))


def fit(seen: Floats, right: npt.NDArray[np.bool_], ridge: float = 1.0) -> Calibration:
    """Fit by Newton's method with a small penalty towards zero.  seen: (N, K); right: (N,)."""
    weights = np.zeros(seen.shape[1])
    for _ in range(50):
        p = _logistic(seen @ weights)
        gradient = seen.T @ (right - p) - ridge * weights
        curvature = (seen * (p * (1 - p))[:, None]).T @ seen + ridge * np.eye(seen.shape[1])
        step = np.linalg.solve(curvature, gradient)
        while _penalized(weights + step, seen, right, ridge) > _penalized(weights, seen, right, ridge) + 1e-9:
            step = step / 2  # where the curve is flat, a whole step overshoots
        weights = weights + step
    return Calibration(tuple(float(w) for w in weights))


def _penalized(weights: Floats, seen: Floats, right: npt.NDArray[np.bool_], ridge: float) -> float:
    """Negative log-likelihood with its penalty."""
    scores = seen @ weights
    return float(np.logaddexp(0, np.where(right, -scores, scores)).sum() + ridge / 2 * weights @ weights)


def _logistic(scores: Floats) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0, -scores)))


def expected_calibration_error(confidence: Floats, right: npt.NDArray[np.bool_], n_bins: int = 15) -> float:
    """Mean distance of confidence and accuracy over bins of equal mass, 0 to 1; 0 when nothing was emitted."""
    if len(confidence) == 0:
        return 0.0
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(n_bins, len(order)))
    return float(sum(len(p) * abs(confidence[p].mean() - right[p].mean()) for p in parts) / len(order))


def _logit(p: float) -> float:
    p = min(max(p, 1e-4), 1 - 1e-4)
    return float(np.log(p / (1 - p)))
