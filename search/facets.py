"""Exact counts of every value over the products that match the filters on the other groups."""

from collections.abc import Sequence

import numpy as np

from search import bitmaps
from search.epoch import View
from search.filtering import Filter, Mask
from search.layer import Schema
from search.postings import Rows
from search.where import Where

# Counting a matching row's labels is taken to cost as much as this many words of bitmaps ANDed and counted.
ROW_COST = 60


def facets(views: Sequence[View], masks: Sequence[Mask], where: Where, schema: Schema) -> dict[str, dict[str, int]]:
    """Counts per group and value. masks: what matches `where` in each view."""
    groups = schema.labels.groups
    filtered = [g for g in where.groups() if g in groups]
    counts = np.zeros(schema.labels.n_words * 64, np.int64)
    for view, mask in zip(views, masks, strict=True):
        for low, high in _ranges([g for g in groups if g not in filtered], schema):
            counts[low:high] += _counts(view, mask, low, high)[low:high]
    for group in filtered:
        others = Filter(where.without(group), schema)
        low, high = groups[group]
        for view in views:
            counts[low:high] += _counts(view, others.matching(view), low, high)[low:high]
    return {
        group: dict(zip(schema.vocabulary.values(group), counts[low:high].tolist(), strict=True))
        for group, (low, high) in groups.items()
    }


def _ranges(chosen: Sequence[str], schema: Schema) -> list[tuple[int, int]]:
    """The labels of some groups as few ranges: neighbours are joined."""
    joined: list[tuple[int, int]] = []
    for group in chosen:
        low, high = schema.labels.groups[group]
        if joined and joined[-1][1] == low:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return joined


def _counts(view: View, mask: Mask, low: int, high: int) -> Rows:
    postings, labels = view.layer.postings, view.layer.table.labels
    counts = np.zeros(labels.shape[1] * 64, np.int64)
    if mask.n * ROW_COST < postings.n_touched(low, high):
        bitmaps.count_labels_by_row(labels, mask.bits, mask.first, counts)
    else:
        bitmaps.count_labels(postings.table, postings.words, postings.lists, mask.bits, mask.first, low, high, counts)
    return counts
