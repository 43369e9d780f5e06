"""Is it right? Queries of one split against the split's other garments: python -m search.evaluate.

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

from attributes.labels import BadDataFolder, Garment, evenly, read_garments
from attributes.report import Figure, fail, model_arguments, progress, write_figures
from attributes.vocabulary import Vocabulary, load_vocabulary
from recognition.cards import WeightsMismatch
from recognition.images import GREY, BadImage, Pixels, full_box, open_photo
from recognition.recognizer import SERVED, Recognizer
from search import ranking
from search.codes import CODES, CodeSpace
from search.features import Extractor, Features
from search.layer import Entry, Schema, Table, table_of
from search.ranking import DEFAULT, Preference, Weights

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


def label_ndcg(gallery: Gallery, rank: Ranker, k: int = 10) -> float:
    """Mean over queries of the gained label agreement in the first k, relative to the best order there is."""
    discounts = 1 / np.log2(np.arange(k) + 2)
    scores = []
    for query in range(gallery.n_queries):
        gains = gallery.gains[query]
        best = np.sort(gains[~gallery.excluded[query]])[::-1][:k]
        gained = gains[rank(query)[:k]]
        scores.append(float(gained @ discounts[: len(gained)]) / float(best @ discounts[: len(best)]))
    return float(np.mean(scores))


def category_precision(gallery: Gallery, rank: Ranker, ks: Sequence[int] = (1, 5, 10, 20)) -> dict[str, Figure]:
    """Share of the first k that are of the query's category."""
    ranked = [gallery.same_category[q][rank(q)[: max(ks)]] for q in range(gallery.n_queries)]
    return {str(k): float(np.mean([r[:k].mean() for r in ranked])) for k in ks}


def same_photo_recall(
    gallery: Gallery, recognizer: Recognizer, extractor: Extractor, weights: Weights
) -> dict[str, Figure]:
    """How often a garment that was shot again finds its original first, and among the first ten."""
    places, ids = [], recognizer.vocabulary.label_ids
    for query in progress(range(gallery.n_queries), gallery.n_queries, "shot again"):
        garment = gallery.items[query].garment
        photo = reshot(open_photo(garment.photo), garment)
        look = recognizer.look(photo)
        read = recognizer.read(look).read if weights.labels else ()
        wishes = [Preference(ids[r.group, r.value], r.confidence) for r in read]
        parts = ranking.parts(gallery.table, extractor.features(photo, None, look), wishes, recognizer.vocabulary)
        distances = ranking.combine(parts, extractor.space.n_bits, weights)
        others = ~gallery.excluded[query]
        others[query] = False
        places.append(int((distances[others] <= distances[query]).sum()))
    return {str(k): float(np.mean(np.array(places) < k)) for k in (1, 10)}


DISTANCES = {
    "code": Weights(1, 0, 0), "colour": Weights(0, 1, 0), "labels": Weights(0, 0, 1), "combined": DEFAULT,
}  # fmt: skip


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


def figures(
    gallery: Gallery, recognizer: Recognizer, extractor: Extractor, distance: str = "code"
) -> dict[str, Figure]:
    """All figures of an evaluation (docs/evaluations.md)."""
    space: CodeSpace = extractor.space
    vocabulary, weights = recognizer.vocabulary, DISTANCES[distance]
    rank = by_distance(gallery, vocabulary, space.n_bits, weights)
    combined = by_distance(gallery, vocabulary, space.n_bits, DEFAULT)
    return {
        "codes": space.name,
        "bits": space.n_bits,
        "queries": gallery.n_queries,
        "gallery": len(gallery.items),
        "category_precision": category_precision(gallery, rank),
        "label_ndcg": {"10": label_ndcg(gallery, rank)},
        "float_label_ndcg": {"10": label_ndcg(gallery, by_cosine(gallery))},
        "combined_label_ndcg": {"10": label_ndcg(gallery, combined)},
        "random_label_ndcg": {"10": label_ndcg(gallery, by_chance(gallery, False))},
        "same_category_label_ndcg": {"10": label_ndcg(gallery, by_chance(gallery, True))},
        "same_photo_recall": same_photo_recall(gallery, recognizer, extractor, weights),
    }


def main() -> None:
    """Read the command line, judge one split, print and write the figures."""
    parser = model_arguments(__doc__ or "")
    parser.add_argument("--codes", choices=CODES, default=CODES[0], help="which codes to judge")
    parser.add_argument("--distance", choices=list(DISTANCES), default="code", help="what to rank by")
    parser.add_argument("--gallery", choices=("split", "all"), default="split", help="all: every other item of DIR")
    arguments = parser.parse_args()
    try:
        recognizer = Recognizer.load(arguments.weights or SERVED, load_vocabulary())
        extractor = Extractor(recognizer, arguments.codes)
        gallery = load_gallery(
            Path(arguments.data), arguments.split, arguments.limit, arguments.gallery == "all", recognizer, extractor
        )
        judged = figures(gallery, recognizer, extractor, arguments.distance)
    except (BadDataFolder, WeightsMismatch, BadImage) as wrong:
        fail(str(wrong))
    write_figures(judged, arguments.json)


if __name__ == "__main__":
    main()
