"""The hot loops over codes and floats, compiled by numba: scanning, clustering, comparing.

Nothing here knows products, files or filters. Every kernel has a slow numpy oracle in tests/search/test_kernels.py. All release
the GIL and are cached on disk (`python -m search.warming` compiles them ahead; script/setup does).

Shapes in this module:
    N  rows      W  64-bit words of a code      B  words of a bitmap, 64 rows each      P  preferences      K  results
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

from search.vectors import add_where, at_most, half_l1, hamming, least, lowest_bit, popcount, prefetch

# How far ahead memory is asked for. Scanning 1M x 512 bits: 4.6 ms without, 3.0 at 2 KB, 2.4 at 8 KB, 2.4 at 32 KB (a plain
# read of the same bytes: 2.8 ms).
AHEAD_WORDS = 1024

DENSE = 24  # rows of 64 from which all 64 are compared and the mask is looked at afterwards
PICKED = 128  # rows picked one by one are asked for at once and compared when so many are on their way

COUNTED = 256  # results up to which they are sorted by counting

FAR = np.iinfo(np.int64).max  # farther than anything


@njit(nogil=True, cache=True)
def _kth(values, n, k):  # type: ignore[no-untyped-def]
    """The k-th smallest (from 1) of the first n values, which are reordered (quickselect)."""
    low, high = 0, n - 1
    while low < high:
        pivot = values[(low + high) // 2]
        i, j = low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while pivot < values[j]:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            break
    return values[k - 1]


@njit(nogil=True, cache=True)
def _cut(found, ties, n, k):  # type: ignore[no-untyped-def]
    """Keep the k nearest of n, and those as near as the last of them while there is room; returns how many were kept.

    Ties are looked up only where too many are equal: they lie apart from the codes, and every look may wait for memory.
    """
    if n <= k:
        return n
    values = found[0, :n].copy()
    farthest = _kth(values, n, k)
    kept = 0
    for i in range(n):
        distance, row = found[0, i], found[1, i]
        found[0, kept], found[1, kept] = distance, row
        kept += distance <= farthest
    if kept > found.shape[1] - found.shape[1] // 4:
        _sort(found, ties, kept)
        kept = k
    return kept


@njit(nogil=True, cache=True)
def _sort(found, ties, n):  # type: ignore[no-untyped-def]
    """Sort the first n by distance and tie: short lists by counting who comes before whom, without a branch."""
    for i in range(n):
        prefetch(ties, found[1, i])
    distances, rows, tied = found[0, :n].copy(), found[1, :n].copy(), np.empty(n, np.int64)
    for i in range(n):
        tied[i] = ties[rows[i]]
    if n <= COUNTED:
        for i in range(n):
            rank, distance, tie = 0, distances[i], tied[i]
            for j in range(n):
                rank += (distances[j] < distance) | ((distances[j] == distance) & (tied[j] < tie))
            found[0, rank], found[1, rank] = distance, rows[i]
        return
    by_tie = np.argsort(tied)
    order = by_tie[np.argsort(distances[by_tie], kind="mergesort")]
    for i in range(n):
        found[0, i], found[1, i] = distances[order[i]], rows[order[i]]


@njit(nogil=True, cache=True)
def _farthest(found, n):  # type: ignore[no-untyped-def]
    """The largest of the first n distances."""
    farthest = found[0, 0]
    for i in range(1, n):
        farthest = max(farthest, found[0, i])
    return farthest


@njit(nogil=True, cache=True)
def _next_filled(mask, first, word, stop):  # type: ignore[no-untyped-def]
    """The first word from `word` on that is not zero, or `stop`: eight at a time, since rare filters leave most empty."""
    while word + 8 <= stop:
        at = word - first
        any_bits = (mask[at] | mask[at + 1] | mask[at + 2] | mask[at + 3]) | (
            mask[at + 4] | mask[at + 5] | mask[at + 6] | mask[at + 7]
        )
        if any_bits:
            break
        word += 8
    while word < stop and mask[word - first] == 0:
        word += 1
    return word


@cache
def scanner(n_words: int) -> Callable[..., int]:  # noqa: PLR0915  # one loop, told once
    """The scan for codes of `n_words`: scan(codes, colours, ties, mask, first, runs, query, colour, lacking, shares, units,
    bound, k, found) -> how many rows were found.

    codes: (N * W,) uint64.  colours: (N * 64,) uint8.  ties: (N,) uint32, the order among equals.
    mask: (B,) uint64, the rows that count, of which bit 0 is row 64 * first.  runs: (R, 2) rows to visit, in this order.
    lacking: (P, B) uint64, which rows lack a preference; shares: (P,) int64, their sum below 65,536.
    units: (3,) int64, how much one bit, one 1/255 of colour and one share count.
    bound: farther rows are of no interest.  found: (2, more than k) int64, room for distances and rows, the k
    nearest first afterwards; what comes is gathered there and cut to k whenever it is full, which is cheaper than a heap.
    """

    @njit(nogil=True, cache=True)
    def scan(  # type: ignore[no-untyped-def]  # noqa: PLR0912, PLR0915
        codes, colours, ties, mask, first, runs, query, colour, lacking, shares, units, bound, k, found
    ):
        room = found.shape[1]
        if k == 0:
            return 0
        per_bit, per_colour, per_share = units[0], units[1], units[2]
        n_preferences = shares.shape[0]
        n, worst = 0, bound
        sums = np.zeros(64, np.uint16)
        distances = np.empty(64, np.int64)
        picked = np.empty(PICKED + 64, np.int64)
        picked_lacks = np.empty(PICKED + 64, np.int64)
        for run in range(runs.shape[0]):
            low, high = runs[run, 0], runs[run, 1]
            n_picked = 0
            word, stop = (low >> 6) - 1, (high + 63) >> 6
            while word + 1 < stop:
                word = _next_filled(mask, first, word + 1, stop)
                base = word << 6
                bits = mask[word - first] if word < stop else np.uint64(0)
                if base < low:
                    bits &= ~np.uint64(0) << np.uint64(low - base)
                if base + 64 > high:
                    bits &= ~np.uint64(0) >> np.uint64(base + 64 - high)
                if bits != 0:
                    if n_preferences:
                        sums[:] = 0
                        for p in range(n_preferences):
                            add_where(sums, lacking[p, word - first], shares[p])
                    if popcount(bits) < DENSE:
                        while bits:
                            j = lowest_bit(bits)
                            bits &= bits - np.uint64(1)
                            picked[n_picked] = base + j
                            for step in range(0, n_words, 8):
                                prefetch(codes, (base + j) * n_words + step)
                            picked_lacks[n_picked] = np.int64(sums[j]) * per_share
                            n_picked += 1
                    elif n_preferences == 0 or least(sums) * per_share <= worst:
                        top = min(64, codes.shape[0] // n_words - base)
                        if top < 64:
                            distances[:] = FAR
                        for j in range(top):
                            at = (base + j) * n_words
                            for step in range(0, n_words, 8):
                                prefetch(codes, at + AHEAD_WORDS + step)
                            distances[j] = hamming(codes, at, query, n_words) * per_bit + np.int64(sums[j]) * per_share
                        near = at_most(distances, worst) & bits
                        while near:
                            j = lowest_bit(near)
                            near &= near - np.uint64(1)
                            distance = distances[j]
                            if per_colour:
                                distance += half_l1(colours, (base + j) * 64, colour) * per_colour
                            if distance <= worst:
                                found[0, n], found[1, n] = distance, base + j
                                n += 1
                                if n == room:
                                    n = _cut(found, ties, n, k)
                                    worst = min(bound, _farthest(found, n))
                if n_picked >= PICKED or (n_picked and word + 1 >= stop):
                    for i in range(n_picked):
                        row, distance = picked[i], picked_lacks[i]
                        if distance <= worst:
                            distance += hamming(codes, row * n_words, query, n_words) * per_bit
                            if distance <= worst and per_colour:
                                distance += half_l1(colours, row * 64, colour) * per_colour
                            if distance <= worst:
                                found[0, n], found[1, n] = distance, row
                                n += 1
                                if n == room:
                                    n = _cut(found, ties, n, k)
                                    worst = min(bound, _farthest(found, n))
                    n_picked = 0
        n = _cut(found, ties, n, k)
        _sort(found, ties, n)
        return min(n, k)

    return scan


@cache
def pairwise(n_words: int) -> Callable[..., None]:
    """hammings(codes, rows, query, out): (R,) distances of some rows, for codes of `n_words`."""

    @njit(nogil=True, cache=True)
    def hammings(codes, rows, query, out):  # type: ignore[no-untyped-def]
        for i in range(rows.shape[0]):
            out[i] = hamming(codes, rows[i] * n_words, query, n_words)

    return hammings


@cache
def assigner(n_words: int) -> Callable[..., None]:
    """assign(codes, rows, centres, out): the nearest centre (the first of equals) of each row, for codes of `n_words`."""

    @njit(nogil=True, cache=True)
    def assign(codes, rows, centres, out):  # type: ignore[no-untyped-def]
        n_centres = centres.shape[0] // n_words
        code = np.empty(n_words, np.uint64)
        for i in range(rows.shape[0]):
            at = rows[i] * n_words
            for w in range(n_words):
                code[w] = codes[at + w]
            best = FAR
            for c in range(n_centres):
                distance = hamming(centres, c * n_words, code, n_words)
                if distance < best:
                    best = distance
                    out[i] = c

    return assign


@cache
def widener(n_words: int) -> Callable[..., None]:
    """widen(codes, assigned, centres, radii): raise each cluster's radius to its farthest row, for codes of `n_words`."""

    @njit(nogil=True, cache=True)
    def widen(codes, assigned, centres, radii):  # type: ignore[no-untyped-def]
        centre = np.empty(n_words, np.uint64)
        for i in range(assigned.shape[0]):
            for w in range(n_words):
                centre[w] = centres[assigned[i] * n_words + w]
            radii[assigned[i]] = max(radii[assigned[i]], hamming(codes, i * n_words, centre, n_words))

    return widen


@njit(nogil=True, cache=True)
def vote(codes, rows, assigned, n_words, votes, sizes):  # type: ignore[no-untyped-def]
    """Count the set bits of each cluster's rows.  votes: (C, 64 * W) int32 and sizes: (C,) int64 are added to."""
    for i in range(rows.shape[0]):
        cluster = assigned[i]
        sizes[cluster] += 1
        for w in range(n_words):
            word = codes[rows[i] * n_words + w]
            for b in range(64):
                votes[cluster, w * 64 + b] += (word >> np.uint64(b)) & np.uint64(1)


@njit(nogil=True, cache=True)
def half_to_single():  # type: ignore[no-untyped-def]
    """The (65536,) float32 of all half-precision numbers, by their bits."""
    out = np.empty(65536, np.float32)
    for bits in range(65536):
        exponent, fraction = (bits >> 10) & 31, bits & 1023
        value = (1 + fraction / 1024) * 2.0 ** (exponent - 15)
        if exponent == 0:
            value = fraction * 2.0**-24
        elif exponent == 31:
            value = np.inf if fraction == 0 else np.nan
        out[bits] = -value if bits >> 15 else value
    return out


@njit(nogil=True, cache=True, fastmath=True)
def squared_distances(floats, rows, query, singles, out):  # type: ignore[no-untyped-def]
    """Squared Euclidean distance of some rows to a query.

    floats: (N, F) uint16, half precision.  query: (F,) float32.  singles: `half_to_single()`.  out: (R,) float32.
    """
    width = floats.shape[1]
    for i in range(rows.shape[0]):
        row = rows[i]
        if i + 2 < rows.shape[0]:
            for f in range(0, width, 32):
                prefetch(floats, rows[i + 2] * width + f)
        total = np.float32(0)
        for f in range(width):
            difference = singles[floats[row, f]] - query[f]
            total += difference * difference
        out[i] = total
