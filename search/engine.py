"""A photo goes in, products that look like it come out: the whole system in a handful of lines."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from attributes.labels import Box
from attributes.vocabulary import Vocabulary
from detection.detector import Detector
from detection.guidance import Found, Origin, Region, choose, is_scene, shown
from recognition.images import Pixels, full_box
from recognition.looks import Look, Looks
from recognition.recognizer import Reading, Recognizer
from search.features import Extractor, Features
from search.index import Index
from search.query import Answer, Explanation, Query
from search.ranking import Preference
from search.where import Where


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
        region = _drawn(photo, box, category) if box else self._chosen(looks, garments, category)
        look = looks.best(region.box)
        reading = self.recognizer.read(look, category)
        clock.lap("describe")
        features = self.extractor.features(photo, region.box, look)
        clock.lap("features")
        ids = self.vocabulary.label_ids
        wishes = tuple(Preference(ids[r.group, r.value], r.confidence) for r in reading.read)
        return Seen(tuple(offered), region, look, reading, features, wishes, clock.laps)

    def _chosen(self, looks: Looks, garments: Sequence[Found], category: str | None) -> Region:
        """The region for a category; without one, the most prominent of a scene, else what the photo reads as.

        The detector knows street photos and sees bags in a photo of nothing but a pair of shorts; the recognizer knows
        single garments and not streets. Of val, 0.76 of 480 single garments and 0.82 of 100 street photos are read right in the
        region chosen so; following the reading of the whole photo wherever it was sure or found gave 0.71 and 0.76.
        """
        if category is None and shown(garments) and not is_scene(garments):
            category = self.recognizer.category(looks.glances([None])[0]).value
        return choose(garments, category, self.vocabulary)

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
