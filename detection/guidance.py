"""Which of the found garments a guide means (SK Planet 2017, section 3.2: category-guided regions).

Boxes whose class is not the guide are rejected, so the same photo gives another region for another category. In the shop a
guide that is not found falls back to the best related box, then to the whole photo, and the answer says so.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from attributes.labels import Box
from attributes.vocabulary import Vocabulary

SHOWN = 0.5  # least score of a garment that is offered to tap: F1 at IoU 0.5 on val is 0.63 to 0.65 from 0.4 to 0.65
GUIDED = 0.10  # least score of a box that a guide points to in a scene: the guide itself is evidence
SCENE = 2  # kinds of garments that are shown, from which on a photo is a scene: 12 of 480 single garments of val, and all of its
# 100 street photos (with 3: one and 90)
SAME_GARMENT = 0.7  # IoU from which two boxes of different classes are one garment
SAME_OF_CLASS = 0.2  # and two of one class: of those offered on val 0.66 are right instead of 0.63 (0.15 to 0.5 tried)


class Found(NamedTuple):
    """A garment found in a photo: score 0 to 1, box in the photo's pixels."""

    category: str
    score: float
    box: Box


class Origin(StrEnum):
    """How a region came to be chosen."""

    GUIDE = "guide"
    RELATED = "related"
    WHOLE = "whole"
    DRAWN = "drawn"


class Region(NamedTuple):
    """The region that a search looks at; `box` None is the whole photo."""

    box: Box | None
    category: str | None
    origin: Origin


def rejected_unless(found: Sequence[Found], guide: str | None) -> list[Found]:
    """Keep the garments of the guide's class; all without a guide. Order is kept."""
    return [f for f in found if guide is None or f.category == guide]


def choose(found: Sequence[Found], guide: str | None, vocabulary: Vocabulary) -> Region:
    """Return the region that `guide` means: its own best box, else a related category's, else the whole photo.

    found: best first. Without a guide the most prominent garment that would be shown is chosen. In a photo that is no scene
    the guide's box must be as sure as one that is shown: a weak one is a leg of the trousers that fill the photo.
    """
    least = GUIDED if is_scene(found) else SHOWN
    if guide is None:
        best = max((f for f in found if f.score >= SHOWN), key=_prominence, default=None)
        return Region(best.box, best.category, Origin.GUIDE) if best else Region(None, None, Origin.WHOLE)
    for category in (guide, *vocabulary.categories[guide].related):
        own = category == guide
        for garment in rejected_unless(found, category):
            if garment.score >= (least if own else SHOWN):  # a stand-in must be sure of itself
                return Region(garment.box, garment.category, Origin.GUIDE if own else Origin.RELATED)
    return Region(None, None, Origin.WHOLE)


def is_scene(found: Sequence[Found]) -> bool:
    """Whether a photo shows several garments, as on a person, and not one that fills it."""
    return len({f.category for f in shown(found)}) >= SCENE


def _prominence(garment: Found) -> float:
    """Score times the box's size: shoes are found most surely, but a coat is what a street photo is about."""
    return float(garment.score * garment.box.area**0.5)


def shown(found: Sequence[Found], least: float = SHOWN) -> list[Found]:
    """The garments to offer, best first: sure enough, and each garment once even where two classes claim it."""
    kept: list[Found] = []
    for garment in found:
        if garment.score >= least and not any(_same(garment, k) for k in kept):
            kept.append(garment)
    return kept


def _same(one: Found, other: Found) -> bool:
    return one.box.iou(other.box) >= (SAME_OF_CLASS if one.category == other.category else SAME_GARMENT)
