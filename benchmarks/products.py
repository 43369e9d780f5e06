"""Products to measure search on: drawn at random in the shape that docs/evaluations.md describes, or from real features.

Shapes in this module:
    N  products      Q  queries      W  64-bit words of a code      V  words of a label set
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from attributes.vocabulary import Vocabulary
from search.codes import Codes
from search.colour import N_BINS, TOTAL, Histogram
from search.features import Features
from search.layer import Names, Schema, Table
from search.postings import Bits, Rows

SEED = 7
N_QUERIES = 400
PER_PROTOTYPE = 50


class Products(NamedTuple):
    """Products and the queries made for them. Query q is a fresh item of a prototype; its labels are its own."""

    table: Table
    queries: list[Features]
    query_labels: list[list[int]]
    query_prices: list[int]


def draw(schema: Schema, n: int, n_queries: int = N_QUERIES, seed: int = SEED) -> Products:
    """Draw products: category centre (Zipf) -> prototype (25-35 % of bits flipped, log-normal sizes) -> item (5-15 %)."""
    random = np.random.default_rng(seed)
    prototypes = _prototypes(random, schema, max(n // PER_PROTOTYPE, 1))
    sizes = random.lognormal(size=len(prototypes.labels))
    chosen = random.choice(len(sizes), n + n_queries, p=sizes / sizes.sum())
    codes = prototypes.codes[chosen]
    _flip(codes, (random.uniform(0.05, 0.15, len(codes)) * schema.n_bits).astype(np.int64), schema.n_bits, seed)
    colours = _noisy(random, prototypes.colours, chosen)
    labels = _own_labels(random, schema, prototypes, chosen)
    prices = np.round(prototypes.prices[chosen] * random.uniform(0.6, 1.4, len(chosen))).astype(np.int64)
    asked = range(n, n + n_queries)
    return Products(
        Table(numbered(n), codes[:n], colours[:n], labels[:n], prices[None, :n], np.zeros((n, 0), np.uint16)),
        [Features(codes[i], colours[i]) for i in asked], [ids_of(labels[i]) for i in asked], prices[n:].tolist(),
    )  # fmt: skip


def resample(
    schema: Schema, real: Codes, categories: Rows, n: int, n_queries: int = N_QUERIES, seed: int = SEED
) -> Products:
    """Products whose codes and categories are those of real garments, with 8-16 % of the bits flipped; the rest as `draw`.

    real: (R, at least W) codes, of which the first W words are used; categories: (R,) ids.
    """
    drawn = draw(schema, n, n_queries, seed)
    random = np.random.default_rng(seed + 1)
    chosen = random.integers(len(real), size=n + n_queries)
    codes = np.ascontiguousarray(real[chosen, : schema.n_words])
    _flip(codes, (random.uniform(0.08, 0.16, len(codes)) * schema.n_bits).astype(np.int64), schema.n_bits, seed)
    labels, n_categories = drawn.table.labels.copy(), len(schema.vocabulary.categories)
    labels[:, 0] &= ~np.uint64((1 << n_categories) - 1)  # categories come first, and there are fewer than 64
    _set(labels, np.arange(n), categories[chosen[:n]])
    own = [
        [int(c), *(label for label in said if label >= n_categories)]
        for c, said in zip(categories[chosen[n:]], drawn.query_labels, strict=True)
    ]
    queries = [f._replace(code=code) for f, code in zip(drawn.queries, codes[n:], strict=True)]
    table = replace(drawn.table, codes=codes[:n], labels=labels)
    return drawn._replace(table=table, queries=queries, query_labels=own)


class _Prototypes(NamedTuple):
    codes: Codes
    colours: npt.NDArray[np.float32]
    labels: list[tuple[int, Rows]]  # category, values
    prices: npt.NDArray[np.float64]


def _prototypes(random: np.random.Generator, schema: Schema, n: int) -> _Prototypes:
    vocabulary: Vocabulary = schema.vocabulary
    n_categories, n_labels = len(vocabulary.categories), len(vocabulary.labels)
    centres = random.integers(0, 2**64, (n_categories, schema.n_words), dtype=np.uint64)
    if schema.n_bits % 64:
        centres[:, -1] &= np.uint64((1 << schema.n_bits % 64) - 1)
    categories = random.permutation(n_categories)[random.choice(n_categories, n, p=_zipf(n_categories))]
    codes = centres[categories]
    _flip(codes, (random.uniform(0.25, 0.35, n) * schema.n_bits).astype(np.int64), schema.n_bits, SEED)
    values, likely = n_categories + random.permutation(n_labels - n_categories), _zipf(n_labels - n_categories)
    drawn = values[random.choice(len(values), (n, 8), p=likely)]
    labels = [(int(c), np.unique(d[:k])) for c, d, k in zip(categories, drawn, random.integers(4, 9, n), strict=True)]
    colours = random.dirichlet(np.full(N_BINS, 0.06), n).astype(np.float32)
    return _Prototypes(codes, colours, labels, random.lognormal(np.log(5000), 0.7, n))


def _zipf(n: int) -> npt.NDArray[np.float64]:
    shares = 1 / np.arange(1, n + 1)
    return np.asarray(shares / shares.sum())


def _noisy(random: np.random.Generator, prototypes: npt.NDArray[np.float32], chosen: Rows) -> Histogram:
    """Histograms with 35 % noise, as whole numbers adding up to TOTAL; in chunks, since they are wide."""
    made = np.empty((len(chosen), N_BINS), np.uint8)
    for low in range(0, len(chosen), 200_000):
        part = prototypes[chosen[low : low + 200_000]]
        part = part * random.uniform(0.65, 1.35, part.shape).astype(np.float32)
        whole = np.floor(part / part.sum(1, keepdims=True) * TOTAL).astype(np.int64)
        fullest = whole.argmax(1)
        whole[np.arange(len(whole)), fullest] += TOTAL - whole.sum(1)
        made[low : low + 200_000] = whole
    return made


def _own_labels(random: np.random.Generator, schema: Schema, prototypes: _Prototypes, chosen: Rows) -> Bits:
    """Each value of the prototype dropped with chance 0.1, a random one added with chance 0.5."""
    n, n_categories, n_labels = len(chosen), len(schema.vocabulary.categories), len(schema.vocabulary.labels)
    words = np.zeros((n, schema.labels.n_words), np.uint64)
    categories = np.array([c for c, _ in prototypes.labels])[chosen]
    _set(words, np.arange(n), categories)
    widths = np.array([len(v) for _, v in prototypes.labels])
    padded = np.zeros((len(widths), 8), np.int64)
    for i, (_, values) in enumerate(prototypes.labels):
        padded[i, : len(values)] = values
    for place in range(8):
        rows = np.flatnonzero((place < widths[chosen]) & (random.random(n) >= 0.1))
        _set(words, rows, padded[chosen[rows], place])
    rows = np.flatnonzero(random.random(n) < 0.5)
    _set(words, rows, random.integers(n_categories, n_labels, len(rows)))
    return words


def _set(words: Bits, rows: Rows, labels: Rows) -> None:
    words[rows, labels >> 6] |= np.uint64(1) << (labels & 63).astype(np.uint64)


def ids_of(words: Bits) -> list[int]:
    """The labels of one label set; (V,)."""
    return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little")).tolist()


def numbered(n: int) -> Names:
    """Skus p00000000, p00000001 ..., shuffled: a shop's skus say nothing of what is alike."""
    digits = np.random.default_rng(SEED).permutation(n)
    text = np.empty((n, 9), np.uint8)
    text[:, 0] = ord("p")
    for place in range(8):
        text[:, 8 - place] = digits // 10**place % 10 + ord("0")
    return Names(text.reshape(-1), np.arange(n + 1, dtype=np.int64) * 9)


@njit(cache=True)
def _flip(codes, counts, n_bits, seed):  # type: ignore[no-untyped-def]
    """Flip about `counts` random bits of each code (a bit drawn twice is flipped back)."""
    state = np.uint64(seed * 2 + 1)
    for i in range(codes.shape[0]):
        for _ in range(counts[i]):
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            bit = np.int64((state >> np.uint64(20)) % np.uint64(n_bits))
            codes[i, bit >> 6] ^= np.uint64(1) << np.uint64(bit & 63)
