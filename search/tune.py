"""Choose the weights of the combined distance on a split: python -m search.tune --data DIR prints the grid, best last."""

from pathlib import Path

from attributes.labels import BadDataFolder
from attributes.report import evaluation_arguments, fail
from recognition.cards import WeightsMismatch
from recognition.recognizer import Recognizer
from search.evaluate import label_ndcg
from search.features import Extractor
from search.gallery import by_distance, load_gallery
from search.ranking import Weights

STEP = 10


def main() -> None:
    """Try all weights that add up to 100 in steps of STEP, by label nDCG@10."""
    arguments = evaluation_arguments(__doc__ or "").parse_args()
    try:
        recognizer = Recognizer.load()
        extractor = Extractor(recognizer)
        gallery = load_gallery(Path(arguments.data), arguments.split, None, False, recognizer, extractor)
    except (BadDataFolder, WeightsMismatch) as wrong:
        fail(str(wrong))
    tried = []
    for code in range(0, 101, STEP):
        for colour in range(0, 101 - code, STEP):
            weights = Weights(code, colour, 100 - code - colour)
            rank = by_distance(gallery, recognizer.vocabulary, extractor.space.n_bits, weights)
            tried.append((label_ndcg(gallery, rank), weights))
    for score, weights in sorted(tried):
        print(f"{score:.4f}  code {weights.code}, colour {weights.colour}, labels {weights.labels}")


if __name__ == "__main__":
    main()
