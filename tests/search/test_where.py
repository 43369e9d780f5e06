"""Filter expressions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attributes.vocabulary import UnknownAttribute, Vocabulary, load_vocabulary
from search.where import BadFilter, Where, parse_where


def test_repeats_are_alternatives_and_plus_is_both(vocabulary: Vocabulary) -> None:
    where = parse_where(["colour=red", "colour=black+white", "fit!=slim", "price>=20", "price<=80.50"], vocabulary)
    assert where == Where({"colour": (("red",), ("black", "white"))}, {"fit": ("slim",)}, {"price": (2000, 8050)})


@pytest.mark.parametrize(
    "expression", ["", "colour", "colour=", "=red", "colour>red", "price=20", "price>=cheap", "price>=-3", "price>=nan",
                   "price>=1e99", "colour!=red+blue", "price!=3"],
)  # fmt: skip
def test_what_is_no_filter_is_refused(vocabulary: Vocabulary, expression: str) -> None:
    with pytest.raises(BadFilter):
        parse_where([expression], vocabulary)


@pytest.mark.parametrize("expression", ["colour=mauve", "shape=round", "category=sock", "colour=red+mauve"])
def test_unknown_words_are_named(vocabulary: Vocabulary, expression: str) -> None:
    with pytest.raises(UnknownAttribute):
        parse_where([expression], vocabulary)


WORDS = load_vocabulary()
EXPRESSIONS = st.lists(
    st.one_of(
        st.sampled_from(WORDS.labels).map(lambda pair: f"{pair[0]}={pair[1]}"),
        st.sampled_from(WORDS.labels).map(lambda pair: f"{pair[0]}!={pair[1]}"),
    ),
    max_size=8,
)


@given(EXPRESSIONS, st.integers(0, 10**6))
def test_expressions_come_back_from_what_was_read(expressions: list[str], cents: int) -> None:
    where = parse_where([*expressions, f"price<={cents / 100:.2f}"], WORDS)
    assert parse_where(where.expressions(), WORDS) == where


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_where([text], WORDS)
    except (BadFilter, UnknownAttribute):
        pass
