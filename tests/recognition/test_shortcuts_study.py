"""The study of shortcuts compares what it says it compares."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from attributes.vocabulary import Vocabulary
from benchmarks.shortcuts import (
    PILOT_SEED,
    RATES,
    Trial,
    _common,
    epochs_to,
    equal_width,
    make_arm,
    multiplications,
    prepared,
    side_by_side,
    study,
    summary,
)
from recognition.resception import ResCeption, scaled_inception
from recognition.train import Recipe


def test_a_scaled_network_has_half_the_channels_and_about_a_quarter_of_the_cost() -> None:
    half, whole = ResCeption(width=0.5, shortcuts=False), ResCeption(shortcuts=False)
    assert half.n_channels * 2 == whole.n_channels
    assert multiplications(half, 107) / multiplications(whole, 107) == pytest.approx(0.25, abs=0.02)


def test_the_widened_network_costs_what_the_shortcuts_cost() -> None:
    wide = equal_width(0.25, 96)
    assert wide > 0.25
    costs = [multiplications(n, 96) for n in (ResCeption(width=wide, shortcuts=False), ResCeption(width=0.25))]
    assert costs[0] / costs[1] == pytest.approx(1, abs=0.03)


def test_plain_and_shortcuts_begin_with_equal_common_weights(vocabulary: Vocabulary) -> None:
    plain, short = (make_arm(arm, vocabulary, 0.125, 0.15, 4) for arm in ("plain", "shortcuts"))
    pairs = list(zip(_common(plain.encoder), _common(short.encoder), strict=True))
    assert len(pairs) > 150
    assert all(torch.equal(a, b) for a, b in pairs)
    assert torch.equal(plain.decoder.out.weight, short.decoder.out.weight)
    assert len(list(short.encoder.parameters())) > len(pairs)


def test_common_weights_stand_for_the_same_convolutions(vocabulary: Vocabulary) -> None:
    """With the shortcuts at zero both arms must see the same."""
    plain, short = (make_arm(arm, vocabulary, 0.125, 0.15, 4).eval() for arm in ("plain", "shortcuts"))
    short.encoder.network.zero_shortcuts()
    photos = torch.rand(1, 3, 107, 107)
    with torch.no_grad():
        for ours, theirs in zip(short.encoder.maps(photos), plain.encoder.maps(photos), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_differences_are_paired_over_seeds() -> None:
    plain = [[9.0, 8.0, 7.0], [8.0, 7.0, 6.0], [7.5, 6.5, 5.5]]
    better = [[x - 0.5 for x in curve] for curve in plain]
    found = summary(better, plain, 7.0)
    best = found["best"]
    assert isinstance(best, dict)
    assert best["difference"] == pytest.approx(-0.5)
    np.testing.assert_allclose(best["interval"], [-0.5, -0.5])
    assert summary(plain, plain, 7.0)["epochs_to_goal"]["mean"] == pytest.approx((3 + 2 + 1.5) / 3)  # type: ignore[index,call-overload]


@pytest.mark.parametrize(
    ("losses", "epochs"), [([9, 8, 7], 2.5), ([7, 6], 1), ([9, 7.5, 6.5], 2), ([9, 8], 3), ([9, 7, 8, 6], 1.75)]
)
def test_the_way_to_the_goal_is_measured_between_epochs(losses: list[float], epochs: float) -> None:
    assert epochs_to(7.5, losses) == pytest.approx(epochs)


def test_scaling_keeps_every_kernel(tmp_path: Path) -> None:
    kernels = [m.kernel_size for m in scaled_inception(0.3).modules() if isinstance(m, torch.nn.Conv2d)]
    assert (1, 7) in kernels
    assert len(kernels) == 94


def test_every_arm_is_trained_at_the_rate_that_its_pilot_liked_best() -> None:
    liked = {"plain": RATES[0], "shortcuts": RATES[2], "widened": RATES[1]}
    asked: list[Trial] = []

    def trained(trials: Sequence[Trial]) -> list[list[float]]:
        asked.extend(trials)
        return [[2000.0, 8.0 + (t.rate != liked[t.arm]) + 0.1 * t.seed] for t in trials]

    found = study(trained, 2, [1, 2])
    whole = [t for t in asked if t.seed != PILOT_SEED]
    assert {(t.arm, t.rate) for t in whole} == set(liked.items())
    assert sorted({t.seed for t in whole}) == [1, 2]
    assert found["arms"]["shortcuts"]["curves"] == [[2000.0, 8.1], [2000.0, 8.2]]  # type: ignore[index,call-overload]


def test_trainings_side_by_side_are_kept_and_not_trained_again(drawn: Path, tmp_path: Path) -> None:
    prepare = partial(prepared, drawn, tmp_path / "out", Recipe(((1, 96),)), 0.0625)
    prepare()
    trials = [Trial(arm, 1, 1e-3, 1) for arm in ("plain", "shortcuts")]
    with side_by_side(2, 1, prepare) as trained:
        first = trained(trials)
        logs = [log.stat().st_mtime_ns for log in sorted((tmp_path / "out").glob("*/log.jsonl"))]
        assert trained(trials) == first
    assert [len(one) for one in first] == [1, 1]
    assert first[0] != first[1]
    assert [log.stat().st_mtime_ns for log in sorted((tmp_path / "out").glob("*/log.jsonl"))] == logs
