"""Label sequences and their grammar."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attributes.labels import Labels, canonical
from attributes.sequence import BEGIN, END, BadSequence, Grammar, decode, encode
from attributes.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary()
GRAMMAR = Grammar(VOCABULARY)


@st.composite
def garments(draw: st.DrawFn) -> Labels:
    category = draw(st.sampled_from(VOCABULARY.category_names))
    values = {}
    for name in VOCABULARY.categories[category].groups:
        group = VOCABULARY.groups[name]
        values[name] = draw(st.lists(st.sampled_from(group.values), max_size=group.max, unique=True))
    return canonical(VOCABULARY, category, values)


@given(garments())
def test_labels_come_back_from_their_sequence(labels: Labels) -> None:
    assert decode(GRAMMAR, encode(GRAMMAR, labels)) == labels


@given(garments())
def test_every_token_of_a_sequence_is_allowed_after_those_before_it(labels: Labels) -> None:
    tokens = encode(GRAMMAR, labels)
    assert tokens[0] == BEGIN
    assert tokens[-1] == END
    for t in range(1, len(tokens)):
        assert tokens[t] in GRAMMAR.allowed(tokens[:t])
    assert len(tokens) <= GRAMMAR.longest


@given(st.data())
def test_any_walk_through_the_grammar_is_labels_in_canonical_order(data: st.DataObject) -> None:
    tokens = [BEGIN]
    while tokens[-1] != END:
        tokens.append(data.draw(st.sampled_from(GRAMMAR.allowed(tokens))))
    labels = decode(GRAMMAR, tokens)
    again = canonical(VOCABULARY, labels.category, {g: list(v) for g, v in labels.values.items()})
    assert again == labels
    assert encode(GRAMMAR, labels) == tokens


def test_a_group_of_one_value_is_left_after_it() -> None:
    women, men = GRAMMAR.token("audience", "women"), GRAMMAR.token("audience", "men")
    assert men not in GRAMMAR.allowed([BEGIN, GRAMMAR.token("category", "dress"), women])


def test_a_group_that_does_not_apply_is_not_allowed() -> None:
    following = GRAMMAR.allowed([BEGIN, GRAMMAR.token("category", "scarf")])
    assert GRAMMAR.token("neckline", "v-neck") not in following


@pytest.mark.parametrize("tokens", [[], [BEGIN], [BEGIN, END], [BEGIN, 30], [BEGIN, 2, 3], [2, 3], [BEGIN, 2, 27, 26]])
def test_tokens_out_of_order_are_refused(tokens: list[int]) -> None:
    with pytest.raises(BadSequence):
        decode(GRAMMAR, tokens)
