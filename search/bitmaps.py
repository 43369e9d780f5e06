"""The hot loops over bitmaps, labels and names, compiled by numba: what filters, counts and lookups are made of.

Every kernel has a slow numpy oracle in tests/search/test_kernels.py. All release the GIL and are cached on disk.

Shapes in this module:
    N  rows      B  words of a bitmap, 64 rows each      V  words of a label set      L  labels      M  names      R  rows or runs
"""

import numpy as np
from numba import njit

from search.vectors import lowest_bit, popcount, prefetch


@njit(nogil=True, cache=True)
def count_bits(mask):  # type: ignore[no-untyped-def]
    """Bits set in a bitmap."""
    n = 0
    for i in range(mask.shape[0]):
        n += popcount(mask[i])
    return n


@njit(nogil=True, cache=True)
def count_runs(mask, first, runs, counts):  # type: ignore[no-untyped-def]
    """Bits set within each run of rows.  runs: (R, 2); counts: (R,) is overwritten."""
    for run in range(runs.shape[0]):
        low, high, n = runs[run, 0], runs[run, 1], 0
        for word in range(low >> 6, (high + 63) >> 6):
            bits = mask[word - first]
            if (word << 6) < low:
                bits &= ~np.uint64(0) << np.uint64(low - (word << 6))
            if (word << 6) + 64 > high:
                bits &= ~np.uint64(0) >> np.uint64((word << 6) + 64 - high)
            n += popcount(bits)
        counts[run] = n


@njit(nogil=True, cache=True)
def set_rows(bits, first, rows):  # type: ignore[no-untyped-def]
    """Set the bits of rows, those outside the window being passed over.  bits: (B,) uint64."""
    low, high = first * 64, (first + bits.shape[0]) * 64
    for i in range(rows.shape[0]):
        row = np.int64(rows[i])
        if low <= row < high:
            bits[(row - low) >> 6] |= np.uint64(1) << np.uint64((row - low) & 63)


@njit(nogil=True, cache=True)
def clear_rows(bits, first, rows):  # type: ignore[no-untyped-def]
    """Clear the bits of rows, those outside the window being passed over.  bits: (B,) uint64."""
    low, high = first * 64, (first + bits.shape[0]) * 64
    for i in range(rows.shape[0]):
        row = np.int64(rows[i])
        if low <= row < high:
            bits[(row - low) >> 6] &= ~(np.uint64(1) << np.uint64((row - low) & 63))


@njit(nogil=True, cache=True)
def rows_of(mask, first, out):  # type: ignore[no-untyped-def]
    """Write the rows whose bits are set, ascending; returns how many.  out: large enough for all."""
    n = 0
    for i in range(mask.shape[0]):
        bits = mask[i]
        while bits:
            out[n] = ((first + i) << 6) + lowest_bit(bits)
            bits &= bits - np.uint64(1)
            n += 1
    return n


@njit(nogil=True, cache=True)
def between(column, low, high, first, bits):  # type: ignore[no-untyped-def]
    """Set the bits of rows whose number lies in [low, high].  column: (N,) int64; bits: (B,) is overwritten."""
    n = column.shape[0]
    for i in range(bits.shape[0]):
        base = (first + i) << 6
        word = np.uint64(0)
        for j in range(min(64, n - base)):
            value = column[base + j]
            word |= np.uint64((value >= low) & (value <= high)) << np.uint64(j)
        bits[i] = word


@njit(nogil=True, cache=True)
def label_bits(label_words, word, bit, bits):  # type: ignore[no-untyped-def]
    """Set the bits of rows that have one label; returns how many.  label_words: (N, V) uint64; bits: (B,) overwritten."""
    n, count = label_words.shape[0], 0
    for i in range(bits.shape[0]):
        base = i << 6
        found = np.uint64(0)
        for j in range(min(64, n - base)):
            found |= ((label_words[base + j, word] >> np.uint64(bit)) & np.uint64(1)) << np.uint64(j)
        bits[i] = found
        count += popcount(found)
    return count


@njit(nogil=True, cache=True)
def count_labels(table, words, lists, mask, first, low, high, counts):  # type: ignore[no-untyped-def]
    """Count, for labels low to high, the rows of the mask that have them.

    table: (L, 4) int64 of is-a-list, first word (of bitmaps), start and stop in `words` or `lists`.
    words: all bitmaps, uint64.  lists: all row lists, uint32.  mask: (B,) of which bit 0 is row 64 * first.  counts: (L,).
    """
    stop_word = first + mask.shape[0]
    for label in range(low, high):
        n, start, stop = 0, table[label, 2], table[label, 3]
        if table[label, 0]:
            for i in range(start, stop):
                row = np.int64(lists[i])
                place = (row >> 6) - first
                if 0 <= place < mask.shape[0] and (mask[place] >> np.uint64(row & 63)) & np.uint64(1):
                    n += 1
        else:
            begin = max(first, table[label, 1])
            end = min(stop_word, table[label, 1] + stop - start)
            shift = start - table[label, 1]
            for word in range(begin, end):
                n += popcount(words[word + shift] & mask[word - first])
        counts[label] = n


@njit(nogil=True, cache=True)
def count_labels_by_row(label_words, mask, first, counts):  # type: ignore[no-untyped-def]
    """Count all labels over the rows of the mask, row by row: faster where few rows match.  counts: (64 * V,), overwritten."""
    counts[:] = 0
    for i in range(mask.shape[0]):
        bits = mask[i]
        while bits:
            row = ((first + i) << 6) + lowest_bit(bits)
            bits &= bits - np.uint64(1)
            for v in range(label_words.shape[1]):
                held = label_words[row, v]
                while held:
                    counts[v * 64 + lowest_bit(held)] += 1
                    held &= held - np.uint64(1)


@njit(nogil=True, cache=True)
def first_in_order(order, mask, first, wanted, out):  # type: ignore[no-untyped-def]
    """Write the first `wanted` rows of the mask in the given order; returns how many.  order: (N,) uint32 rows."""
    n, low, high = 0, first * 64, (first + mask.shape[0]) * 64
    for i in range(order.shape[0]):
        if n == wanted:
            break
        row = np.int64(order[i])
        if low <= row < high and (mask[(row - low) >> 6] >> np.uint64((row - low) & 63)) & np.uint64(1):
            out[n] = row
            n += 1
    return n


@njit(nogil=True, cache=True)
def find_names(names, starts, order, wanted, wanted_starts, out):  # type: ignore[no-untyped-def]
    """Binary search of many names; -1 where there is none.

    names: all bytes; starts: (N + 1,); order: (N,) uint32, rows sorted by name.  wanted, wanted_starts: the same of the names
    looked for; out: (M,) int64 rows.
    """
    for i in range(wanted_starts.shape[0] - 1):
        begin, length = wanted_starts[i], wanted_starts[i + 1] - wanted_starts[i]
        low, high = 0, order.shape[0]
        out[i] = -1
        while low < high:
            middle = (low + high) // 2
            row = np.int64(order[middle])
            at, n = starts[row], starts[row + 1] - starts[row]
            sign = 0
            for j in range(min(n, length)):
                a, b = names[at + j], wanted[begin + j]
                if a != b:
                    sign = -1 if a < b else 1
                    break
            if sign == 0:
                sign = -1 if n < length else (1 if n > length else 0)
            if sign == 0:
                out[i] = row
                break
            if sign < 0:
                low = middle + 1
            else:
                high = middle


@njit(nogil=True, cache=True)
def gather_names(names, starts, rows, text, ends):  # type: ignore[no-untyped-def]
    """Write the names of some rows one after the other.  text: uint8, returned length if it is too small; ends: (R,)."""
    for i in range(rows.shape[0]):
        prefetch(starts, rows[i])
    total = 0
    for i in range(rows.shape[0]):
        total += starts[rows[i] + 1] - starts[rows[i]]
        ends[i] = total
        prefetch(names, starts[rows[i]])
    if total <= text.shape[0]:
        at = 0
        for i in range(rows.shape[0]):
            for j in range(starts[rows[i]], starts[rows[i] + 1]):
                text[at] = names[j]
                at += 1
    return total
