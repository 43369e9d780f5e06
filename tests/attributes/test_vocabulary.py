"""The vocabulary."""

import pytest

from attributes.vocabulary import UnknownAttribute, Vocabulary


def test_it_has_24_categories_13_groups_and_158_values(vocabulary: Vocabulary) -> None:
    assert len(vocabulary.categories) == 24
    assert len(vocabulary.groups) == 13
    assert sum(len(g.values) for g in vocabulary.groups.values()) == 158


def test_ids_stay_what_they_were_when_weights_were_shipped(vocabulary: Vocabulary) -> None:
    assert vocabulary.label_ids["category", "t-shirt"] == 0
    assert vocabulary.label_ids["category", "scarf"] == 23
    assert vocabulary.label_ids["audience", "women"] == 24
    assert vocabulary.label_ids["hat-type", "headband"] == 181
    assert vocabulary.fingerprint == "9773f5db2a3defe3"


def test_a_changed_order_changes_the_fingerprint(vocabulary: Vocabulary) -> None:
    groups = dict(reversed(vocabulary.groups.items()))
    assert Vocabulary(groups, vocabulary.categories).fingerprint != vocabulary.fingerprint


def test_synonyms_do_not_enter_the_fingerprint(vocabulary: Vocabulary) -> None:
    from dataclasses import replace

    shirts = replace(vocabulary.categories["shirt"], synonyms=("hemd",))
    assert (
        Vocabulary(vocabulary.groups, {**vocabulary.categories, "shirt": shirts}).fingerprint == vocabulary.fingerprint
    )


def test_related_categories_exist(vocabulary: Vocabulary) -> None:
    for category in vocabulary.categories.values():
        assert set(category.related) <= set(vocabulary.categories)
        assert category.name not in category.related


@pytest.mark.parametrize(("group", "value"), [("colour", "mauve"), ("sleeves", "long"), ("category", "sock")])
def test_an_unknown_word_is_named_with_what_there_is(vocabulary: Vocabulary, group: str, value: str) -> None:
    with pytest.raises(UnknownAttribute, match="there are|it has"):
        vocabulary.check_value(group, value)
