"""Is it right? Queries of one split against the split's other garments: python -m search.evaluate.

--hierarchical judges the second level, --certificate DIR measures the approximate mode on a live index.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from attributes.labels import BadDataFolder
from attributes.report import Figure, fail, model_arguments, progress, write_figures
from attributes.vocabulary import load_vocabulary
from recognition.cards import WeightsMismatch
from recognition.images import BadImage, open_photo
from recognition.recognizer import SERVED, Recognizer
from search import ranking
from search.certificate import NothingToCertify, certify
from search.codes import CODES, CodeSpace
from search.features import Extractor
from search.gallery import Gallery, Ranker, by_chance, by_cosine, by_distance, load_gallery, reshot
from search.hierarchical import hierarchical_figures
from search.packed import CorruptIndex, OldFormat
from search.ranking import DEFAULT, Preference, Weights


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
    parser.add_argument(
        "--hierarchical", action="store_true", help="judge the second level instead, among all items of DIR"
    )
    parser.add_argument("--gallery", choices=("split", "all"), default="split", help="all: every other item of DIR")
    if "--certificate" in sys.argv:
        write_figures(_certified(), None)
        return
    arguments = parser.parse_args()
    try:
        recognizer = Recognizer.load(arguments.weights or SERVED, load_vocabulary())
        extractor = Extractor(recognizer, arguments.codes)
        gallery = load_gallery(
            Path(arguments.data), arguments.split, arguments.limit, arguments.gallery == "all" or arguments.hierarchical,
            recognizer, extractor,
        )  # fmt: skip
        judged = (
            hierarchical_figures(gallery.items, gallery.n_queries, recognizer.vocabulary, extractor.space.n_bits)
            if arguments.hierarchical else figures(gallery, recognizer, extractor, arguments.distance)
        )  # fmt: skip
    except (BadDataFolder, WeightsMismatch, BadImage) as wrong:
        fail(str(wrong))
    write_figures(judged, arguments.json)


def _certified() -> dict[str, Figure]:
    """Measure the approximate mode on the index whose folder follows --certificate."""
    parser = argparse.ArgumentParser(description="Measure recall of the approximate mode, and keep it with the index.")
    parser.add_argument("--certificate", type=Path, required=True, metavar="DIR", help="folder of the index")
    try:
        return certify(parser.parse_args().certificate)
    except (NothingToCertify, CorruptIndex, OldFormat) as wrong:
        fail(str(wrong))


if __name__ == "__main__":
    main()
