"""What sellers' words name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attributes.meta import named_categories, named_values
from attributes.vocabulary import Vocabulary, load_vocabulary


@pytest.mark.parametrize(
    ("title", "category"),
    [
        ("brown cardigan worn over a white dress", "cardigan"),
        ("Denim shirt dress", "dress"),
        ("Cotton dress shirt", "shirt"),
        ("Striped tank top", "top"),
        ("Black leather ankle boots with buckles", "shoes"),
        ("Girls navy long-sleeved top", "longsleeve"),
        ("Navy top with white dots", "top"),
        ("Two wool scarves", "scarf"),
        ("WOMEN'S BLAZERS", "blazer"),
        ("Tee, grey", "t-shirt"),
        ("jeans jacket", "jacket"),
        ("Weiße Bluse / white blouse", "blouse"),
    ],
)
def test_the_head_of_the_first_phrase_is_the_category(vocabulary: Vocabulary, title: str, category: str) -> None:
    assert named_categories(vocabulary, title)[0].category == category


def test_several_come_out_ranked(vocabulary: Vocabulary) -> None:
    named = named_categories(vocabulary, "brown cardigan worn over a white dress")
    assert [n.category for n in named] == ["cardigan", "dress"]


def test_none_is_an_answer(vocabulary: Vocabulary) -> None:
    assert named_categories(vocabulary, "Something lovely in blue") == []


def test_the_description_speaks_when_the_title_does_not(vocabulary: Vocabulary) -> None:
    assert named_categories(vocabulary, "Model 4711", "A warm coat for winter")[0].category == "coat"


def test_positions_point_at_the_words(vocabulary: Vocabulary) -> None:
    title = "Old Brown Cardigans with dots"
    (named,) = named_categories(vocabulary, title)
    assert title[named.start : named.end] == "Cardigans"


@given(st.text(max_size=80))
def test_any_text_is_read_without_harm(text: str) -> None:
    for named in named_categories(load_vocabulary(), text):
        assert 0 <= named.start < named.end <= len(text)


@pytest.mark.parametrize(
    ("title", "values"),
    [
        ("Light blue striped shirt", {("colour", "light-blue"), ("pattern", "striped")}),
        ("Navy blue polo shirt", {("colour", "navy"), ("sleeve-length", "short-sleeve"), ("neckline", "polo-collar")}),
        ("Black lace-up boots", {("colour", "black"), ("closure", "laced"), ("shoe-type", "ankle-boot")}),
        ("High-waist jeans", {("material", "denim")}),
        ("Off-the-shoulder dress", {("neckline", "off-shoulder")}),
        ("WOMEN’S V-NECK DRESSES", {("audience", "women"), ("neckline", "v-neck")}),
        ("Sneakers with white laces", {("colour", "white"), ("closure", "laced"), ("shoe-type", "sneaker")}),
        ("", set()),
    ],
)
def test_titles_name_attribute_values(vocabulary: Vocabulary, title: str, values: set[tuple[str, str]]) -> None:
    assert {(v.group, v.value) for v in named_values(vocabulary, title)} == values


def test_a_belt_bag_is_not_belted_and_a_belted_bag_is(vocabulary: Vocabulary) -> None:
    said = [{v.value for v in named_values(vocabulary, title, "bag")} for title in ("Black belt bag", "Bag with belt")]
    assert "belted" not in said[0]
    assert "belted" in said[1]


def test_values_of_other_kinds_of_garment_are_not_named(vocabulary: Vocabulary) -> None:
    assert not any(v.group == "shoe-type" for v in named_values(vocabulary, "Clutch dress with sneakers", "dress"))


def test_what_stands_after_with_is_not_said_of_the_product_itself(vocabulary: Vocabulary) -> None:
    said = {v.value: v.main for v in named_values(vocabulary, "Red dress with white collar")}
    assert said == {"red": True, "white": False}


@given(st.text(max_size=80))
def test_named_values_are_where_they_say_and_no_group_has_too_many(title: str) -> None:
    vocabulary = load_vocabulary()
    found = named_values(vocabulary, title)
    for group in vocabulary.groups.values():
        assert sum(v.group == group.name for v in found) <= group.max
    for v in found:
        assert v.value in vocabulary.groups[v.group].values
        assert 0 <= v.start < v.end <= len(title)


def test_every_synonym_belongs_to_a_value(vocabulary: Vocabulary) -> None:
    for group in vocabulary.groups.values():
        assert set(group.synonyms) <= set(group.values)
