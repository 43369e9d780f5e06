"""The figures of search against their definitions."""

import numpy as np
import pytest
from PIL import Image

from attributes.labels import Box, Garment, Labels
from attributes.vocabulary import Vocabulary
from search.evaluate import category_precision, label_ndcg
from search.gallery import Item, by_chance, by_cosine, by_distance, gather, reshot
from search.ranking import Preference, Weights
from tests.search.catalogue import N_BITS, random_features

COLOURS = ("black", "red", "blue")


def items(vocabulary: Vocabulary, n: int = 24) -> list[Item]:
    random = np.random.default_rng(4)
    made = []
    for i in range(n):
        category = ("dress", "coat")[i % 2]
        labels = Labels(category, {"colour": (str(random.choice(COLOURS)),)})
        garment = Garment(f"G{i}", "val", __file__, f"g{i // 2}", None, labels, "")
        wishes = tuple(Preference(vocabulary.label_ids[pair], 0.8) for pair in labels.pairs())
        made.append(Item(garment, random_features(random), random.normal(size=N_BITS).astype(np.float32), wishes))
    return made


def test_a_perfect_order_has_ndcg_one_and_chance_less(vocabulary: Vocabulary) -> None:
    gallery = gather(items(vocabulary), 24, vocabulary, False)

    def perfect(q: int) -> np.ndarray:
        return np.array([g for g in np.argsort(-gallery.gains[q], kind="stable") if not gallery.excluded[q, g]])

    assert label_ndcg(gallery, perfect) == pytest.approx(1)
    assert label_ndcg(gallery, by_chance(gallery, False)) < label_ndcg(gallery, by_chance(gallery, True)) < 1


def test_ranking_by_the_true_labels_is_nearly_perfect(vocabulary: Vocabulary) -> None:
    gallery = gather(items(vocabulary), 24, vocabulary, False)
    rank = by_distance(gallery, vocabulary, N_BITS, Weights(0, 0, 1))
    assert label_ndcg(gallery, rank) > 0.95
    assert category_precision(gallery, rank)["5"] > 0.9


def test_gains_are_the_jaccard_index_and_own_groups_are_left_out(vocabulary: Vocabulary) -> None:
    made = items(vocabulary)
    gallery = gather(made, 5, vocabulary, False)
    for q in range(5):
        for g, other in enumerate(made):
            a, b = set(made[q].garment.labels.pairs()), set(other.garment.labels.pairs())
            assert gallery.gains[q, g] == pytest.approx(len(a & b) / len(a | b))
            assert gallery.excluded[q, g] == (made[q].garment.group == other.garment.group)
    assert not gather(made, 5, vocabulary, True).excluded[0, 1]


def test_cosine_finds_the_same_direction_first(vocabulary: Vocabulary) -> None:
    made = items(vocabulary)
    made[9] = made[9]._replace(activations=made[0].activations * 3)
    assert by_cosine(gather(made, 1, vocabulary, False))(0)[0] == 9


def test_a_reshot_garment_is_another_photo_of_the_same_and_always_the_same_one() -> None:
    photo = np.asarray(Image.linear_gradient("L").convert("RGB"))
    garment = Garment("S12", "val", __file__, "g", Box(50, 50, 200, 250), Labels("dress"), "")
    one, again = reshot(photo, garment), reshot(photo, garment)
    np.testing.assert_array_equal(one, again)
    assert 0.68 * 200 <= one.shape[0] <= 202
    assert 0.68 * 150 <= one.shape[1] <= 152
