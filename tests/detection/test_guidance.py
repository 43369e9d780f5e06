"""Which region a guide means."""

import pytest

from attributes.labels import Box
from attributes.vocabulary import Vocabulary
from detection.guidance import GUIDED, SHOWN, Found, Origin, choose, is_scene, rejected_unless, shown

COAT = Found("coat", 0.9, Box(10, 10, 50, 90))
DRESS = Found("dress", 0.6, Box(15, 20, 45, 95))
SHOES = Found("shoes", 0.2, Box(20, 90, 40, 99))
FOUND = [COAT, DRESS, SHOES]


def test_the_same_photo_gives_another_region_for_another_category(vocabulary: Vocabulary) -> None:
    assert choose(FOUND, "coat", vocabulary).box == COAT.box
    assert choose(FOUND, "dress", vocabulary).box == DRESS.box


def test_a_guide_needs_less_evidence_than_a_garment_that_is_offered(vocabulary: Vocabulary) -> None:
    assert GUIDED < SHOES.score < SHOWN
    assert choose(FOUND, "shoes", vocabulary).box == SHOES.box
    assert SHOES not in shown(FOUND)


def test_a_photo_with_several_kinds_of_garments_is_a_scene() -> None:
    assert is_scene(FOUND)
    assert not is_scene([COAT, SHOES])
    assert not is_scene([COAT, Found("coat", 0.8, Box(60, 10, 90, 90))])
    assert not is_scene([])


def test_in_a_photo_that_is_no_scene_a_guide_needs_as_much_evidence_as_what_is_offered(vocabulary: Vocabulary) -> None:
    leg = Found("pants", 0.4, Box(10, 40, 20, 99))
    assert choose([COAT, leg], "pants", vocabulary).origin is Origin.WHOLE
    assert choose([COAT, DRESS, leg], "pants", vocabulary).box == leg.box
    assert choose([COAT, leg], "coat", vocabulary).box == COAT.box


def test_a_guide_that_is_not_there_falls_back_to_the_best_related_box(vocabulary: Vocabulary) -> None:
    region = choose(FOUND, "jacket", vocabulary)
    assert region.origin is Origin.RELATED
    assert region.category == "coat"


def test_and_then_to_the_whole_photo(vocabulary: Vocabulary) -> None:
    region = choose(FOUND, "bag", vocabulary)
    assert region == (None, None, Origin.WHOLE)


def test_without_a_guide_the_most_prominent_garment_is_chosen(vocabulary: Vocabulary) -> None:
    assert choose(FOUND, None, vocabulary).box == COAT.box
    sure_shoes = Found("shoes", 0.99, SHOES.box)
    assert choose([sure_shoes, DRESS], None, vocabulary).box == DRESS.box
    assert choose([SHOES], None, vocabulary).origin is Origin.WHOLE


def test_boxes_of_another_class_are_rejected() -> None:
    assert rejected_unless(FOUND, "dress") == [DRESS]
    assert rejected_unless(FOUND, None) == FOUND


def test_a_garment_that_two_classes_claim_is_offered_once() -> None:
    twin = Found("jacket", 0.5, Box(11, 10, 50, 90))
    assert shown([COAT, twin, DRESS]) == [COAT, DRESS]


def test_a_garment_that_is_found_twice_is_offered_once() -> None:
    lapel, other_coat = Found("coat", 0.6, Box(10, 10, 40, 40)), Found("coat", 0.6, Box(60, 10, 99, 90))
    assert shown([COAT, lapel, DRESS, other_coat]) == [COAT, DRESS, other_coat]


@pytest.mark.parametrize("found", [[], [SHOES]])
def test_nothing_found_is_no_harm(vocabulary: Vocabulary, found: list[Found]) -> None:
    assert choose(found, "coat", vocabulary).origin is Origin.WHOLE
