"""Where a seller's title and the photo disagree, which is where a label is most often wrong."""

from typing import NamedTuple

import numpy as np

from attributes.meta import named_categories, named_values
from recognition.heads import HeadLayout
from recognition.looks import Look

LEAST_LIKELY = 0.05  # probability that the photo must leave to what the title says, at most


class Doubt(NamedTuple):
    """A value that the title says, what the photo shows instead ("" for nothing in particular), and how sure that is, 0 to 1."""

    group: str
    said: str
    shown: str
    sure: float


def doubts(layout: HeadLayout, look: Look, title: str, least_likely: float = LEAST_LIKELY) -> list[Doubt]:
    """Return what of a title the photo speaks against, the surest first.

    The heads judge each group by itself, so that the title's category, by which a photo is read, does not sway them.
    """
    words = layout.vocabulary
    present = np.exp(layout.log_probabilities(look.heads)[0])
    named = named_categories(words, title)
    category = named[0].category if named else None
    said = [("category", category)] if category else []
    said += [(v.group, v.value) for v in named_values(words, title, category) if v.main]
    found = []
    for group, value in said:
        likely = float(present[words.label_ids[group, value]])
        if likely <= least_likely:
            others = [(float(present[words.label_ids[group, v]]), v) for v in words.values(group) if v != value]
            best, shown = max(others)
            found.append(Doubt(group, value, shown if best >= 0.5 else "", 1 - likely))
    return sorted(found, key=lambda d: -d.sure)
