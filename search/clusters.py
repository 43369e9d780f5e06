"""Runs of like codes inside each category: what the approximate mode probes. k-majority (k-means under Hamming distance).

Shapes in this module:
    N  rows      W  64-bit words of a code      C  clusters
"""

from typing import NamedTuple

import numpy as np

from search import kernels
from search.codes import Codes
from search.postings import Rows

ROWS_PER_CLUSTER = 512  # a cluster is some 64 KB at 1,024 bits
MOST = 1024  # clusters of one category: assigning compares with all of them
SAMPLED = 24  # rows per cluster that its centre is trained on
ROUNDS = 4  # of assigning and voting; more changed recall by less than 0.002


class Clusters(NamedTuple):
    """assigned: (N,) the cluster of each row, categories one after the other; centres: (C, W), a majority vote per bit."""

    assigned: Rows
    centres: Codes


def cluster(codes: Codes, categories: Rows, seed: int = 7) -> Clusters:
    """Cluster each category's codes.  codes: (N, W); categories: (N,).  The same input gives the same clusters."""
    random = np.random.default_rng(seed)
    flat = np.ascontiguousarray(codes).reshape(-1)
    assigned = np.zeros(len(codes), np.int64)
    centres: list[Codes] = []
    n_before = 0
    by_category = np.argsort(categories, kind="stable")
    bounds = np.flatnonzero(np.diff(categories[by_category], prepend=-1, append=-1))
    for low, high in zip(bounds[:-1], bounds[1:], strict=True):
        rows = by_category[low:high]
        found = _centres(flat, rows, codes.shape[1], random)
        within = np.zeros(len(rows), np.int64)
        if len(found) > 1:
            kernels.assigner(codes.shape[1])(flat, rows, found.reshape(-1), within)
        assigned[rows] = n_before + within
        centres.append(found)
        n_before += len(found)
    return Clusters(assigned, np.concatenate([np.zeros((0, codes.shape[1]), np.uint64), *centres]))


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
    return centres
