"""Drawn garments."""

from pathlib import Path

import numpy as np
import pytest

from attributes.labels import read_boxes, read_garments
from attributes.meta import named_categories
from attributes.vocabulary import Vocabulary
from recognition.drawing import KINDS, draw_garment, draw_scene


@pytest.mark.parametrize("category", list(KINDS))
def test_every_category_can_be_drawn_with_labels_that_apply(vocabulary: Vocabulary, category: str) -> None:
    drawing = draw_garment(vocabulary, 5, category, 96)
    assert drawing.pixels.shape == (96, 96, 3)
    assert drawing.labels.category == category
    assert drawing.box.area > 96 * 96 * 0.1
    assert named_categories(vocabulary, drawing.title)[0].category == category


def test_the_same_seed_draws_the_same_and_another_another(vocabulary: Vocabulary) -> None:
    one, again, other = (draw_garment(vocabulary, seed, "dress", 64) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.pixels, again.pixels)
    assert (one.pixels != other.pixels).any()


def test_a_scene_marks_what_a_person_wears(vocabulary: Vocabulary) -> None:
    for seed in range(10):
        pixels, boxes = draw_scene(vocabulary, seed)
        assert pixels.shape == (384, 256, 3)
        assert {"shoes"} < {b.category for b in boxes}
        assert all(0 <= b.box.x0 < b.box.x1 <= 256 and 0 <= b.box.y0 < b.box.y1 <= 384 for b in boxes)


def test_a_drawn_folder_is_a_data_folder(drawn: Path, vocabulary: Vocabulary) -> None:
    garments = read_garments(drawn, vocabulary)
    assert {g.split for g in garments} == {"train", "val"}
    assert {g.labels.category for g in garments if g.split == "val"} == set(KINDS)
    assert len(read_boxes(drawn, vocabulary, "val")) == 4
