"""Confidence that means what it says."""

import numpy as np
import pytest

from recognition.calibration import Calibration, evidence, expected_calibration_error, fit


def test_a_fitted_map_is_calibrated_where_the_raw_confidence_was_not() -> None:
    random = np.random.default_rng(0)
    truth = random.uniform(0.05, 0.95, 4000)
    right = random.random(4000) < truth
    boasting = 1 / (1 + np.exp(-3 * np.log(truth / (1 - truth))))
    seen = np.stack([evidence(p, p, False, False) for p in boasting])
    before = expected_calibration_error(boasting, right)
    calibration = fit(seen, right)
    after = expected_calibration_error(np.array([calibration.confidence(s) for s in seen]), right)
    assert before > 0.08
    assert after < 0.03


def test_calibration_error_is_the_weighted_gap_of_the_bins() -> None:
    confidence = np.array([0.1, 0.1, 0.1, 0.9, 0.9, 0.9])
    right = np.array([False, False, False, True, True, False])
    assert expected_calibration_error(confidence, right, n_bins=2) == pytest.approx(0.5 * 0.1 + 0.5 * (0.9 - 2 / 3))
    assert expected_calibration_error(np.array([]), np.array([], bool)) == 0


def test_without_a_fit_the_speller_is_believed() -> None:
    assert Calibration().confidence(evidence(0.8, 0.1, False, False)) == pytest.approx(0.8)
