"""Garments that are searched among: their features, who is alike by the true labels, and orders to judge.

Shapes in this module:
    Q  queries      G  garments of the gallery      C  channels of the float features
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

from attributes.labels import Garment, evenly, read_garments
from attributes.report import progress
from attributes.vocabulary import Vocabulary
from recognition.images import GREY, Pixels, full_box, open_photo
from recognition.recognizer import Recognizer
from search import ranking
from search.features import Extractor, Features
from search.layer import Entry, Schema, Table, table_of
from search.ranking import Preference, Weights

Floats = npt.NDArray[np.float64]
Ranker = Callable[[int], npt.NDArray[np.int64]]  # a query's position to the whole gallery's rows, nearest first


class Item(NamedTuple):
    """A garment with its features. activations: (C,), before they became bits."""

    garment: Garment
    features: Features
    activations: npt.NDArray[np.float32]
    preferences: tuple[Preference, ...]


@dataclass(frozen=True)
class Gallery:
    """All items, those that are queries first; a query's gallery leaves out its own `group`."""

    items: Sequence[Item]
    n_queries: int
    table: Table
    gains: Floats  # (Q, G) Jaccard index of the true label sets
    excluded: npt.NDArray[np.bool_]  # (Q, G)
    same_category: npt.NDArray[np.bool_]  # (Q, G)


def extract(garments: Sequence[Garment], recognizer: Recognizer, extractor: Extractor) -> list[Item]:
    """Features and read labels of every garment, in its true box."""
    ids, items = recognizer.vocabulary.label_ids, []
    opened: tuple[Path | None, Pixels] = (None, np.zeros((1, 1, 3), np.uint8))
    for garment in progress(garments, len(garments), "features"):
        if opened[0] != garment.photo:
            opened = (garment.photo, open_photo(garment.photo))
        look = recognizer.look(opened[1], garment.box)
        read = recognizer.read(look).read
        items.append(
            Item(
                garment,
                extractor.features(opened[1], garment.box, look),
                extractor.space.activations(look) - extractor.space.thresholds,
                tuple(Preference(ids[r.group, r.value], r.confidence) for r in read),
            )
        )
    return items


def reshot(photo: Pixels, garment: Garment) -> Pixels:
    """The garment photographed again: another rectangle, turned, lit otherwise, and badly compressed."""
    random = np.random.default_rng(crc32(garment.id.encode()))
    box = garment.box or full_box(photo)
    width, height = box.x1 - box.x0, box.y1 - box.y0
    w, h = random.uniform(0.7, 1) * width, random.uniform(0.7, 1) * height
    x, y = box.x0 + random.uniform(0, width - w), box.y0 + random.uniform(0, height - h)
    image = Image.fromarray(photo).rotate(
        random.uniform(-10, 10), Image.Resampling.BICUBIC, center=(x + w / 2, y + h / 2), fillcolor=(GREY,) * 3
    )
    image = image.crop((int(x), int(y), max(int(x + w), int(x) + 2), max(int(y + h), int(y) + 2)))
    image = ImageEnhance.Brightness(image).enhance(random.uniform(0.7, 1.3))
    image = ImageEnhance.Contrast(image).enhance(random.uniform(0.7, 1.3))
    compressed = io.BytesIO()
    image.save(compressed, "JPEG", quality=40)
    return np.asarray(Image.open(compressed))


def gather(items: Sequence[Item], n_queries: int, vocabulary: Vocabulary, all_groups: bool) -> Gallery:
    """Put items into a gallery whose first `n_queries` are the queries."""
    table = _table([i.features for i in items], [i.garment for i in items], vocabulary)
    has = np.unpackbits(table.labels.view(np.uint8), axis=1, bitorder="little").astype(np.float64)
    shared = has[:n_queries] @ has.T
    union = has[:n_queries].sum(1)[:, None] + has.sum(1)[None] - shared
    groups = np.array([i.garment.group for i in items])
    categories = np.array([i.garment.labels.category for i in items])
    excluded = np.eye(n_queries, len(items), dtype=bool)
    if not all_groups:
        excluded |= groups[:n_queries, None] == groups[None]
    return Gallery(items, n_queries, table, shared / union, excluded, categories[:n_queries, None] == categories[None])


def _table(features: Sequence[Features], garments: Sequence[Garment], vocabulary: Vocabulary) -> Table:
    """The gallery as the index would hold it, in the gallery's order."""
    ids = vocabulary.label_ids
    entries = [
        Entry(g.id, f.code, f.colour, tuple(sorted(ids[pair] for pair in g.labels.pairs())), None)
        for f, g in zip(features, garments, strict=True)
    ]
    return table_of(entries, Schema(vocabulary, 64 * len(features[0].code), ""))


def by_distance(gallery: Gallery, vocabulary: Vocabulary, n_bits: int, weights: Weights) -> Ranker:
    """Rank by the combined distance with these weights; a weight of zero leaves its part out."""

    def rank(query: int) -> npt.NDArray[np.int64]:
        item = gallery.items[query]
        parts = ranking.parts(gallery.table, item.features, item.preferences, vocabulary)
        return _kept(gallery, query, ranking.combine(parts, n_bits, weights))

    return rank


def by_cosine(gallery: Gallery) -> Ranker:
    """Rank by the cosine of the activations about their thresholds, the best real-valued form of the codes."""
    floats = np.stack([i.activations for i in gallery.items]).astype(np.float64)
    floats /= np.linalg.norm(floats, axis=1, keepdims=True)
    return lambda query: _kept(gallery, query, -(floats @ floats[query]))


def by_chance(gallery: Gallery, within_category: bool, seed: int = 7) -> Ranker:
    """A random order, or one in which the right category comes first."""
    random = np.random.default_rng(seed)

    def rank(query: int) -> npt.NDArray[np.int64]:
        order = random.random(len(gallery.items))
        return _kept(gallery, query, order - (gallery.same_category[query] if within_category else 0))

    return rank


def _kept(gallery: Gallery, query: int, distances: npt.NDArray[np.int64] | Floats) -> npt.NDArray[np.int64]:
    order = np.argsort(distances, kind="stable")
    return np.asarray(order[~gallery.excluded[query][order]])


def load_gallery(
    data: Path, split: str, limit: int | None, everything: bool, recognizer: Recognizer, extractor: Extractor
) -> Gallery:
    """Read a data folder and extract all that is needed. Raises BadDataFolder, BadImage."""
    inside = read_garments(data, recognizer.vocabulary, split)
    chosen = evenly(len(inside), limit)
    rest = [g for i, g in enumerate(inside) if i not in set(chosen)]
    if everything:
        rest += [g for g in read_garments(data, recognizer.vocabulary) if g.split != split]
    items = extract([inside[i] for i in chosen] + rest, recognizer, extractor)
    return gather(items, len(chosen), recognizer.vocabulary, everything)
