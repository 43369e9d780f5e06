"""Runs of like codes inside each category: what pruning and probing look at. k-majority (k-means under Hamming distance).

Shapes in this module:
    N  rows      W  64-bit words of a code      C  clusters
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from search import kernels
from search.codes import Codes
from search.postings import Rows

ROWS_PER_CLUSTER = 512  # a cluster is some 64 KB at 1,024 bits
MOST = 1024  # clusters of one category: assigning compares with all of them
SAMPLED = 24  # rows per cluster that its centre is trained on
LARGE = 2  # times the rows wanted: a cluster that is divided again
DEPTH = 4  # times at most
ROUNDS = 4  # of assigning and voting


class Clusters(NamedTuple):
    """assigned: (N,) the cluster of each row, categories one after the other; centres: (C, W), a majority vote per bit; radii:
    (C,) bits from each centre to its farthest row."""

    assigned: Rows
    centres: Codes
    radii: Rows


def cluster(codes: Codes, categories: Rows, seed: int = 7) -> Clusters:
    """Cluster each category's codes.  codes: (N, W); categories: (N,).  The same input gives the same clusters."""
    random = np.random.default_rng(seed)
    flat = np.ascontiguousarray(codes).reshape(-1)
    assigned = np.zeros(len(codes), np.int64)
    centres: list[Codes] = []
    by_category = np.argsort(categories, kind="stable")
    bounds = np.flatnonzero(np.diff(categories[by_category], prepend=-1, append=-1))
    for low, high in pairwise(bounds):
        for rows, centre in _divided(flat, by_category[low:high], codes.shape[1], random, DEPTH):
            assigned[rows] = len(centres)
            centres.append(centre)
    found, radii = np.array(centres, np.uint64).reshape(-1, codes.shape[1]), np.zeros(len(centres), np.int64)
    kernels.widener(codes.shape[1])(flat, assigned, found.reshape(-1), radii)
    return Clusters(assigned, found, radii)


def _divided(
    flat: Codes, rows: Rows, n_words: int, random: np.random.Generator, depth: int
) -> Iterator[tuple[Rows, Codes]]:
    """Clusters of rows, each with its centre. What is still large is divided again: most codes are about as far from all
    centres but their own, and would gather round the few that lie in the middle."""
    centres = _centres(flat, rows, n_words, random)
    nearest = np.zeros(len(rows), np.int64)
    if len(centres) > 1:
        kernels.assigner(n_words)(flat, rows, centres.reshape(-1), nearest)
    order = np.argsort(nearest, kind="stable")
    bounds = np.searchsorted(nearest[order], np.arange(len(centres) + 1))
    for i, (low, high) in enumerate(pairwise(bounds.tolist())):
        if high - low > LARGE * ROWS_PER_CLUSTER and depth and high - low < len(rows):
            yield from _divided(flat, rows[order[low:high]], n_words, random, depth - 1)
        elif high > low:
            yield rows[order[low:high]], centres[i]


def _centres(flat: Codes, rows: Rows, n_words: int, random: np.random.Generator) -> Codes:
    n = min(max(len(rows) // ROWS_PER_CLUSTER, 1), MOST)
    sample = random.choice(rows, min(len(rows), n * SAMPLED), replace=False)
    centres = flat.reshape(-1, n_words)[sample[:n]].copy()
    for _ in range(ROUNDS):
        assigned = np.zeros(len(sample), np.int64)
        kernels.assigner(n_words)(flat, sample, centres.reshape(-1), assigned)
        votes, sizes = np.zeros((n, n_words * 64), np.int32), np.zeros(n, np.int64)
        kernels.vote(flat, sample, assigned, n_words, votes, sizes)
        majority = np.packbits(votes * 2 > sizes[:, None], axis=1, bitorder="little").view("<u8")
        centres[sizes > 0] = majority[sizes > 0]
    return np.asarray(centres)
