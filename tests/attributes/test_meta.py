"""What sellers' words name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attributes.meta import named_categories
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
