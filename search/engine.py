"""A photo goes in, products that look like it come out: the whole system in a handful of lines."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from attributes.labels import Box
from attributes.vocabulary import Vocabulary
from detection.detector import Detector
from detection.guidance import Found, Origin, Region, choose, shown
from recognition.images import Pixels, full_box
from recognition.looks import Look, Looks
from recognition.recognizer import Reading, Recognizer
from search.features import Extractor, Features
from search.index import Index
from search.query import Answer, Explanation, Query
from search.ranking import Preference
from search.where import Where

# Confidence from which the category read from the whole photo is looked for. Right are then 0.70 of 80 single garments and 0.80
# of 80 street photos of val; without the reading it was 0.53 and 0.68 (measured with larger crops).
SURE = 0.95

LEAST_SHARE = 0.05  # of the photo that a garment must cover to be what the photo is about; 0.1 is worse on streets


class BadBox(ValueError):
    """A rectangle outside the photo, or none at all."""


class Page(NamedTuple):
    """Which part of the results, and of which generation of the index (the newest by default)."""

    limit: int = 24
    offset: int = 0
    generation: int | None = None


@dataclass(frozen=True)
class Seen:
    """What was made of a photo: the garments in it, the region chosen, its words and its features.

    look: at the region. preferences: the labels read, as wishes; a category that was chosen is certain.
    """

    garments: tuple[Found, ...]
    region: Region
    look: Look
    reading: Reading
    features: Features
    preferences: tuple[Preference, ...]
    took_ms: dict[str, float] = field(default_factory=dict)


class Engine:
    """Recognizer, detector, extractor and index together."""

    def __init__(self, recognizer: Recognizer, detector: Detector, index: Index, extractor: Extractor) -> None:
        self.recognizer, self.detector, self.index, self.extractor = recognizer, detector, index, extractor

    @property
    def vocabulary(self) -> Vocabulary:
        """The words that everything here speaks."""
        return self.recognizer.vocabulary

    def see(
        self, photo: Pixels, category: str | None = None, box: Box | None = None, only_region: bool = False
    ) -> Seen:
        """Find and read the garment of a photo (SK Planet 2017, figure 2).

        Option 1: the model picks the category. Option 2: `category` guides. Option 3: `box` is drawn.
        only_region: do not look for other garments when `box` says where to look. Raises BadBox, UnknownAttribute.
        """
        clock = _Clock()
        looks = self.recognizer.looks(photo)
        garments = [] if box is not None and only_region else self.detector.find(photo, looks=looks)
        offered = shown(garments)
        clock.lap("detect")
        guide = category if category or box else self._guide(looks, offered)
        region = _drawn(photo, box, category) if box else choose(garments, guide, self.vocabulary)
        look = looks.best(region.box)
        reading = self.recognizer.read(look, category)
        clock.lap("describe")
        features = self.extractor.features(photo, region.box, look)
        clock.lap("features")
        ids = self.vocabulary.label_ids
        wishes = tuple(Preference(ids[r.group, r.value], r.confidence) for r in reading.read)
        return Seen(tuple(offered), region, look, reading, features, wishes, clock.laps)

    def _guide(self, looks: Looks, offered: Sequence[Found]) -> str | None:
        """Option 1's category: what the whole photo reads as, where that is sure or was found; else none.

        The detector knows street photos and sees bags in a photo of nothing but a pair of shorts; the recognizer knows
        single garments and not streets.
        """
        read = self.recognizer.category(looks.glances([None])[0])
        was_found = any(g.category == read.value for g in offered)
        has_large = any(g.box.area >= LEAST_SHARE * full_box(looks.photo).area for g in offered)
        return read.value if was_found or not has_large or read.confidence >= SURE else None

    def search(self, seen: Seen, where: Where, page: Page) -> Answer:
        """Return the products nearest to what was seen, among those that match `where`."""
        return self.index.search(Query(seen.features, seen.preferences, where, *page))

    def explain(self, seen: Seen, where: Where, sku: str) -> Explanation:
        """Why a product is where it is in the results of a search, or why it is not there."""
        return self.index.explain(Query(seen.features, seen.preferences, where), sku)

    def similar(self, sku: str, where: Where, page: Page) -> Answer:
        """Return the products nearest to one that is indexed, itself left out. Raises UnknownProduct."""
        return self.index.similar(sku, Query(None, (), where, *page))


def _drawn(photo: Pixels, box: Box, category: str | None) -> Region:
    """The drawn rectangle, clipped to the photo. Raises BadBox when nothing of it is inside."""
    whole = full_box(photo)
    inside = Box(max(box.x0, 0), max(box.y0, 0), min(box.x1, whole.x1), min(box.y1, whole.y1))
    if not (inside.x1 - inside.x0 >= 1 and inside.y1 - inside.y0 >= 1):
        raise BadBox(f"the box {','.join(f'{c:g}' for c in box)} lies outside the photo ({whole.x1} x {whole.y1})")
    return Region(inside, category, Origin.DRAWN)


class _Clock:
    """Milliseconds of one stage after the other."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        now = time.perf_counter()
        self.laps[stage] = (now - self._last) * 1000
        self._last = now
