"""Every kernel against an obvious slow way, over widths, sizes, masks and ties."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search import bitmaps, kernels
from search.epoch import all_rows

WIDTHS = (1, 2, 3, 8, 11, 16, 20, 32)
SIZES = (1, 2, 63, 64, 65, 127, 128, 129, 1000)
SEEDS = st.integers(0, 2**32 - 1)


def frozen(array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array)
    array.flags.writeable = False
    return array


def random_bits(random: np.random.Generator, n: int, share: float) -> np.ndarray:
    flags = np.zeros(-(-n // 64) * 64, np.uint8)
    flags[:n] = random.random(n) < share
    return np.packbits(flags, bitorder="little").view("<u8").copy()


def flags_of(bits: np.ndarray, n: int) -> np.ndarray:
    return np.unpackbits(bits.view(np.uint8), bitorder="little")[:n].astype(bool)


class Rows:
    """Random rows for a scan; few different codes when there are to be ties."""

    def __init__(self, seed: int, n: int, width: int, n_different: int, share: float, n_preferences: int) -> None:
        random = np.random.default_rng(seed)
        self.codes = random.integers(0, 2**64, (n_different, width), dtype=np.uint64)[
            random.integers(n_different, size=n)
        ]
        self.colours = random.integers(0, 9, (n, 64)).astype(np.uint8)
        self.colours[:, 0] += (
            2 * (self.colours.sum(1) % 2 == 0).astype(np.uint8) + 1
        )  # L1 distances are even, as they are
        self.ties = random.permutation(n).astype(np.uint32)
        self.mask = random_bits(random, n, share)
        self.code = random.integers(0, 2**64, width, dtype=np.uint64)
        self.colour = self.colours[0]
        self.lacking = np.stack([random_bits(random, n, 0.5) for _ in range(n_preferences)] or [self.mask[:0]])
        self.lacking = self.lacking[:n_preferences].reshape(n_preferences, len(self.mask))
        self.shares = random.integers(1, 3000, n_preferences)

    def scan(
        self, k: int, units: np.ndarray, bound: int = kernels.FAR, runs: list[list[int]] | None = None
    ) -> np.ndarray:
        found = np.empty((2, 3 * k + 64), np.int64)
        n = kernels.scanner(self.codes.shape[1])(
            frozen(self.codes.reshape(-1)), frozen(self.colours.reshape(-1)), frozen(self.ties), self.mask, 0,
            np.array(runs or [[0, len(self.codes)]]), self.code, self.colour, self.lacking, self.shares, units, bound, k, found,
        )  # fmt: skip
        return found[:, :n]

    def slow(self, k: int, units: np.ndarray, bound: int = kernels.FAR) -> np.ndarray:
        n = len(self.codes)
        bits = np.bitwise_count(self.codes ^ self.code).sum(1, dtype=np.int64)
        colours = np.abs(self.colours.astype(np.int64) - self.colour.astype(np.int64)).sum(1) // 2
        lacks = sum((s * flags_of(b, n) for s, b in zip(self.shares, self.lacking, strict=True)), np.zeros(n, np.int64))
        distances = bits * units[0] + colours * units[1] + lacks * units[2]
        rows = np.flatnonzero(flags_of(self.mask, n) & (distances <= bound))
        rows = rows[np.lexsort((self.ties[rows], distances[rows]))][:k]
        return np.stack([distances[rows], rows])


@settings(max_examples=80, deadline=None)
@given(
    SEEDS, st.sampled_from(SIZES), st.sampled_from(WIDTHS), st.sampled_from([1, 3, 10**6]),
    st.sampled_from([0.0, 0.02, 0.3, 0.9, 1.0]), st.integers(0, 4), st.sampled_from([1, 7, 50, 300]),
    st.sampled_from([(1, 0, 0), (0, 1, 0), (0, 0, 1), (5, 3, 2)]),
)  # fmt: skip
def test_the_scan_finds_the_k_nearest_with_ties_in_order(
    seed: int, n: int, width: int, n_different: int, share: float, n_preferences: int, k: int, units: tuple[int, ...]
) -> None:
    rows = Rows(seed, n, width, n_different, share, n_preferences)
    np.testing.assert_array_equal(rows.scan(k, np.array(units)), rows.slow(k, np.array(units)))


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(0, 400))
def test_the_scan_returns_nothing_beyond_the_bound(seed: int, bound: int) -> None:
    rows, units = Rows(seed, 500, 8, 10**6, 0.8, 2), np.array([1, 0, 0])
    np.testing.assert_array_equal(rows.scan(20, units, bound), rows.slow(20, units, bound))


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.lists(st.integers(0, 700), min_size=1, max_size=8))
def test_runs_in_any_order_are_the_same_as_one_run(seed: int, cuts: list[int]) -> None:
    rows, units = Rows(seed, 700, 2, 40, 0.5, 1), np.array([3, 1, 1])
    bounds = sorted({0, 700, *cuts})
    runs = [list(r) for r in pairwise(bounds)]
    np.random.default_rng(seed).shuffle(runs)
    np.testing.assert_array_equal(rows.scan(25, units, runs=runs), rows.slow(25, units))


def test_all_equal_codes_come_in_the_order_of_their_ties() -> None:
    rows = Rows(1, 5000, 8, 1, 1.0, 0)
    found = rows.scan(40, np.array([1, 0, 0]))
    np.testing.assert_array_equal(rows.ties[found[1]], np.arange(40))


def test_k_of_zero_finds_nothing() -> None:
    assert Rows(0, 100, 8, 5, 1.0, 0).scan(0, np.array([1, 0, 0])).shape == (2, 0)


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.sampled_from(SIZES), st.sampled_from([0.0, 0.01, 0.5, 1.0]))
def test_bitmaps_count_list_set_and_clear_rows(seed: int, n: int, share: float) -> None:
    random = np.random.default_rng(seed)
    bits = random_bits(random, n, share)
    expected = np.flatnonzero(flags_of(bits, n))
    assert bitmaps.count_bits(bits) == len(expected)
    rows = np.empty(n, np.int64)
    assert bitmaps.rows_of(bits, 0, rows) == len(expected)
    np.testing.assert_array_equal(rows[: len(expected)], expected)
    again = np.zeros_like(bits)
    bitmaps.set_rows(again, 0, frozen(expected.astype(np.uint32)))
    np.testing.assert_array_equal(again, bits)
    bitmaps.clear_rows(again, 0, frozen(expected[::2]))
    np.testing.assert_array_equal(np.flatnonzero(flags_of(again, n)), expected[1::2])
    low, high = sorted(random.integers(0, n + 1, 2))
    counts = np.empty(2, np.int64)
    bitmaps.count_runs(bits, 0, np.array([[0, n], [low, high]]), counts)
    assert counts.tolist() == [len(expected), int(((expected >= low) & (expected < high)).sum())]


def test_rows_outside_a_window_are_passed_over() -> None:
    window = np.zeros(2, np.uint64)
    bitmaps.set_rows(window, 3, frozen(np.array([5, 191, 192, 319, 320])))
    assert flags_of(window, 128).nonzero()[0].tolist() == [0, 127]


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from(SIZES), st.integers(-5, 30), st.integers(-5, 30))
def test_numbers_between_two_ends(seed: int, n: int, low: int, high: int) -> None:
    column = np.random.default_rng(seed).integers(-1, 25, n)
    bits = np.ones(-(-n // 64), np.uint64)
    bitmaps.between(frozen(column), low, high, 0, bits)
    np.testing.assert_array_equal(flags_of(bits, n), (column >= low) & (column <= high))


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from(SIZES), st.sampled_from([0.0, 0.1, 1.0]))
def test_labels_are_counted_the_same_by_posting_and_by_row(seed: int, n: int, share: float) -> None:
    random = np.random.default_rng(seed)
    has = random.random((n, 128)) < random.random(128) ** 3
    words = frozen(np.packbits(has, axis=1, bitorder="little").view("<u8"))
    mask = random_bits(random, n, share)
    expected = has[flags_of(mask, n)].sum(0)
    by_row = np.empty(128, np.int64)
    bitmaps.count_labels_by_row(words, mask, 0, by_row)
    np.testing.assert_array_equal(by_row, expected)
    bits = np.zeros(len(mask), np.uint64)
    for label in (0, 63, 64, 127):
        assert bitmaps.label_bits(words, label >> 6, label & 63, bits) == has[:, label].sum()
        np.testing.assert_array_equal(flags_of(bits, n), has[:, label])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text("abcäöπ-.", min_size=1, max_size=12), min_size=1, max_size=60, unique=True), st.randoms())
def test_names_are_found_by_binary_search(skus: list[str], random) -> None:
    from search.layer import names_of

    random.shuffle(skus)
    names = names_of(skus)
    order = names.sorted_rows()
    assert [skus[row] for row in order] == sorted(skus)
    asked = names_of([*reversed(skus), "zzz", "", skus[0] + "a"])
    rows = np.empty(len(asked), np.int64)
    bitmaps.find_names(
        frozen(names.text), frozen(names.starts), frozen(order.astype(np.uint32)), asked.text, asked.starts, rows
    )
    expected = {sku: row for row, sku in enumerate(skus)}
    assert rows.tolist() == [expected.get(sku, -1) for sku in asked.tolist()]


def test_names_of_any_length_are_gathered() -> None:
    from search.layer import names_of

    skus = ["a", "ü" * 80, "c-1", "x" * 200]
    taken = names_of(skus).take(np.array([3, 1, 1, 0]))
    assert taken.tolist() == [skus[3], skus[1], skus[1], skus[0]]


def test_half_precision_is_read_as_numpy_does() -> None:
    every = np.arange(65536, dtype=np.uint16).view(np.float16).astype(np.float32)
    np.testing.assert_array_equal(kernels.half_to_single(), every)


def test_squared_distances_of_halves() -> None:
    random = np.random.default_rng(3)
    floats, query = random.normal(size=(40, 100)).astype(np.float16), random.normal(size=100).astype(np.float32)
    rows, out = np.array([3, 39, 0, 3]), np.empty(4, np.float32)
    kernels.squared_distances(frozen(floats.view(np.uint16)), rows, query, kernels.half_to_single(), out)
    np.testing.assert_allclose(out, ((floats[rows].astype(np.float32) - query) ** 2).sum(1), rtol=1e-4)


@pytest.mark.parametrize("width", [1, 8, 20])
def test_the_nearest_centre_is_assigned_and_the_majority_wins(width: int) -> None:
    random = np.random.default_rng(width)
    codes = random.integers(0, 2**64, (90, width), dtype=np.uint64)
    centres, rows = codes[:7].copy(), random.permutation(90)[:50]
    out = np.empty(50, np.int64)
    kernels.assigner(width)(codes.reshape(-1), rows, centres.reshape(-1), out)
    distances = np.bitwise_count(codes[rows][:, None] ^ centres[None]).sum(2, dtype=np.int64)
    np.testing.assert_array_equal(out, distances.argmin(1))
    votes, sizes = np.zeros((7, width * 64), np.int32), np.zeros(7, np.int64)
    kernels.vote(codes.reshape(-1), rows, out, width, votes, sizes)
    bits = np.unpackbits(codes.view(np.uint8), axis=1, bitorder="little")
    for cluster in range(7):
        np.testing.assert_array_equal(votes[cluster], bits[rows[out == cluster]].sum(0))


@pytest.mark.parametrize("n", SIZES)
def test_a_full_bitmap_has_no_bit_beyond_its_rows(n: int) -> None:
    assert flags_of(all_rows(n), len(all_rows(n)) * 64).sum() == n
