"""Random catalogues, and the obvious slow way of searching them."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from attributes.vocabulary import Vocabulary
from search.features import Features
from search.layer import Entry, Schema
from search.ranking import SHARES, Preference, Weights, shares
from search.where import Where

N_BITS = 100


def schema(vocabulary: Vocabulary) -> Schema:
    return Schema(vocabulary, N_BITS, "test")


def random_entries(vocabulary: Vocabulary, n: int, seed: int = 0) -> list[Entry]:
    """Products with random codes (some equal), colours, labels and prices."""
    random = np.random.default_rng(seed)
    entries = []
    for i in range(n):
        category = str(random.choice(vocabulary.category_names[:6]))
        labels = [vocabulary.label_ids["category", category]]
        for group in vocabulary.categories[category].groups:
            if random.random() < 0.6:
                n_values = int(random.integers(1, vocabulary.groups[group].max + 1))
                values = random.choice(vocabulary.groups[group].values[:4], n_values, replace=False)
                labels += [vocabulary.label_ids[group, str(v)] for v in values]
        price = None if random.random() < 0.2 else int(random.integers(100, 9000))
        entries.append(Entry(f"p{random.integers(10**6)}-{i}", *random_features(random), tuple(sorted(labels)), price))
    return entries


def random_features(random: np.random.Generator) -> Features:
    """A code of N_BITS and a histogram that adds up to 255; few different ones, so that there are ties."""
    bits = np.random.default_rng(random.integers(12)).random(128) < 0.5
    bits[N_BITS:] = False
    code = np.packbits(bits, bitorder="little").view("<u8")
    colour = np.zeros(64, np.uint8)
    colour[random.integers(64)] = 155
    colour[random.integers(64)] += 100
    return Features(code, colour)


def slow_distance(
    vocabulary: Vocabulary, entry: Entry, query: Features, preferences: Sequence[Preference], weights: Weights
) -> Fraction:
    """The combined distance by its definition, exactly."""
    hamming = sum(bin(int(a) ^ int(b)).count("1") for a, b in zip(entry.code, query.code, strict=True))
    l1 = sum(abs(int(a) - int(b)) for a, b in zip(entry.colour, query.colour, strict=True))
    lacking = 0
    for preference, share in zip(preferences, shares(preferences), strict=True):
        group = vocabulary.labels[preference.label][0]
        speaks = any(vocabulary.labels[x][0] == group for x in entry.labels)
        lacking += share * (speaks and preference.label not in entry.labels)
    parts = Fraction(hamming, N_BITS), Fraction(l1, 2 * 255), Fraction(lacking, SHARES)
    return sum((w * p for w, p in zip(weights, parts, strict=True)), Fraction(0)) / weights.total


def slow_matches(vocabulary: Vocabulary, entry: Entry, where: Where) -> bool:
    """Whether a product matches a filter, by its definition."""
    names = [vocabulary.labels[x] for x in entry.labels]
    for group, options in where.wanted.items():
        if not any(all((group, v) in names for v in values) for values in options):
            return False
    if any((group, v) in names for group, values in where.unwanted.items() for v in values):
        return False
    numbers = {"price": entry.price, **dict(entry.numbers)}
    for name, (low, high) in where.ranges.items():
        number = numbers.get(name)
        if number is None or (low is not None and number < low) or (high is not None and number > high):
            return False
    return True
