"""Codes and colour histograms."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recognition.cards import Card
from recognition.looks import Look
from search.codes import WidthMismatch, binarize, code_space, hamming, random_directions
from search.colour import N_BINS, TOTAL, distance, histogram


@given(st.integers(1, 200), st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_hamming_against_counting_bits_one_by_one(n_bits: int, n: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    values, cuts = random.normal(size=(n + 1, n_bits)).astype(np.float32), random.normal(size=n_bits).astype(np.float32)
    codes = binarize(values, cuts)
    assert codes.shape == (n + 1, -(-n_bits // 64))
    bits = values > cuts
    np.testing.assert_array_equal(hamming(codes[1:], codes[0]), (bits[1:] != bits[0]).sum(1))


def test_codes_of_different_widths_are_not_compared() -> None:
    with pytest.raises(WidthMismatch, match="2 words, the query has 1"):
        hamming(np.zeros((3, 2), np.uint64), np.zeros(1, np.uint64))


def test_code_spaces() -> None:
    lists = {"pooled_median": (0.5, -0.5, 0.0), "middle_median": (0.1, 0.2), "pooled_mean": (0.0, 0.0, 0.0)}
    card = Card(Path("a.toml"), {}, {}, lists)
    look = Look(np.array([1, -1, 0.1], np.float32), np.array([-1, 2], np.float32), *[np.zeros(1, np.float32)] * 2)
    assert code_space(card, "last-median").encode(look).tolist() == [0b101]
    paper = code_space(card, "two-depths")
    assert paper.n_bits == 5
    assert paper.encode(look).tolist() == [0b10101]


def test_projected_codes_estimate_the_angle() -> None:
    random = np.random.default_rng(0)
    n = 1024
    lists = {"pooled_median": (0.0,) * n, "middle_median": (0.0,), "pooled_mean": tuple(random.normal(size=n))}
    space = code_space(Card(Path("a.toml"), {}, {}, lists))
    mean = np.array(lists["pooled_mean"])
    for share in (0.0, 0.3, 0.7, 1.0):
        one, noise = random.normal(size=(2, n))
        other = share * one + (1 - share) * noise
        looks = [Look((v + mean).astype(np.float32), *[np.zeros(1, np.float32)] * 3) for v in (one, other)]
        codes = np.stack([space.encode(look) for look in looks])
        cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
        assert hamming(codes[:1], codes[1])[0] / n == pytest.approx(np.arccos(min(cosine, 1)) / np.pi, abs=0.05)


def test_directions_are_the_same_for_ever() -> None:
    drawn = random_directions(64)
    assert set(np.unique(drawn)) == {-1.0, 1.0}
    assert abs(drawn.mean()) < 0.05
    assert drawn[0, :8].tolist() == [-1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0, 1.0]


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_a_histogram_adds_up_exactly(height: int, width: int, seed: int) -> None:
    region = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    counts = histogram(region)
    assert counts.shape == (N_BINS,)
    assert counts.sum() == TOTAL


@given(st.integers(0, 2**32 - 1))
def test_colour_distance_is_half_of_l1_between_0_and_255(seed: int) -> None:
    random = np.random.default_rng(seed)
    some = np.stack([histogram(random.integers(0, 256, (9, 9, 3), np.uint8)) for _ in range(4)])
    expected = [sum(abs(int(a) - int(b)) for a, b in zip(row, some[0], strict=True)) // 2 for row in some]
    assert distance(some, some[0]).tolist() == expected
    assert distance(some, some[0])[0] == 0


@pytest.mark.parametrize(
    ("one", "near", "far"),
    [
        ((220, 20, 20), (200, 30, 30), (20, 20, 220)),
        ((15, 15, 15), (22, 20, 22), (250, 250, 250)),
        ((250, 220, 40), (255, 215, 60), (120, 20, 160)),
    ],
)
def test_near_colours_are_nearer(one: tuple[int, ...], near: tuple[int, ...], far: tuple[int, ...]) -> None:
    flat = [histogram(np.full((30, 20, 3), colour, np.uint8)) for colour in (one, near, far)]
    to_near, to_far = distance(np.stack(flat[1:]), flat[0])
    assert to_near < to_far
    assert to_far == TOTAL
