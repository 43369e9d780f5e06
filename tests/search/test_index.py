"""The index against the obvious slow way, and against damage."""

import os
from pathlib import Path

import numpy as np
import pytest

from attributes.vocabulary import Vocabulary
from search.features import Features
from search.following import GenerationGone, IndexOutdated
from search.index import Index, UnknownProduct
from search.layer import Entry, Schema
from search.query import Query
from search.ranking import DEFAULT, Preference, Weights
from search.where import Where, parse_where
from search.writer import IndexLocked, IndexWriter
from tests.search.catalogue import N_BITS, random_entries, random_features, schema, slow_distance, slow_matches

FILTERS = [
    [],
    ["category=t-shirt"],
    ["category=t-shirt", "category=shirt", "colour=black"],
    ["colour=black+white"],
    ["colour=black+white", "colour=grey"],
    ["colour!=black", "audience!=men"],
    ["price>=20", "price<=60"],
    ["price<=0.5"],
    ["category=polo", "colour=silver", "neckline=v-neck", "fit=slim"],
    ["neckline!=v-neck"],
]


@pytest.fixture
def entries(vocabulary: Vocabulary) -> list[Entry]:
    return random_entries(vocabulary, 150)


@pytest.fixture
def index(tmp_path: Path, vocabulary: Vocabulary, entries: list[Entry]) -> Index:
    with writer(tmp_path, vocabulary) as opened:
        opened.apply(entries)
    return Index(tmp_path, schema(vocabulary))


def writer(folder: Path, vocabulary: Vocabulary) -> IndexWriter:
    return IndexWriter(folder, schema(vocabulary))


def preferences(vocabulary: Vocabulary) -> list[Preference]:
    said = {("category", "t-shirt"): 0.7, ("colour", "black"): 0.9, ("neckline", "v-neck"): 0.35, ("fit", "slim"): 0.5}
    return [Preference(vocabulary.label_ids[pair], confidence) for pair, confidence in said.items()]


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("weights", [DEFAULT, Weights(1, 0, 0), Weights(0, 1, 0), Weights(0, 0, 1), Weights(7, 11, 13)])
def test_the_nearest_are_found_in_order_with_ties_by_sku(
    index: Index, vocabulary: Vocabulary, entries: list[Entry], filters: list[str], weights: Weights
) -> None:
    query, wishes = random_features(np.random.default_rng(5)), preferences(vocabulary)
    where = parse_where(filters, vocabulary)
    answer = index.search(Query(query, wishes, where, limit=40, weights=weights))
    slow = sorted(
        (slow_distance(vocabulary, e, query, wishes, weights), e.sku)
        for e in entries
        if slow_matches(vocabulary, e, where)
    )
    assert [h.sku for h in answer.hits] == [sku for _, sku in slow[:40]]
    np.testing.assert_allclose([h.distance for h in answer.hits], [float(d) for d, _ in slow[:40]], atol=1e-12)
    assert answer.total == len(slow)


@pytest.mark.parametrize("filters", FILTERS)
def test_facets_count_what_matches_every_filter_on_the_other_groups(
    index: Index, vocabulary: Vocabulary, entries: list[Entry], filters: list[str]
) -> None:
    where = parse_where(filters, vocabulary)
    facets = index.search(Query(where=where)).facets
    for group, counts in facets.items():
        matching = [e for e in entries if slow_matches(vocabulary, e, where.without(group))]
        for value, n in counts.items():
            label = vocabulary.label_ids[group, value]
            assert n == sum(label in e.labels for e in matching), (group, value)


@pytest.mark.parametrize("filters", FILTERS[1:])
def test_near_misses_follow_when_too_few_match_each_with_what_it_breaks(
    index: Index, vocabulary: Vocabulary, entries: list[Entry], filters: list[str]
) -> None:
    where = parse_where(filters, vocabulary)
    answer = index.search(Query(random_features(np.random.default_rng(1)), (), where, limit=60))
    by_sku = {e.sku: e for e in entries}
    assert len(answer.relaxed) == max(0, min(60 - answer.total, len(entries) - answer.total))
    for hit in answer.relaxed:
        assert not slow_matches(vocabulary, by_sku[hit.sku], where)
        broken = [g for g in where.groups() if where.spelled(g) in hit.breaks]
        rest = where
        for group in broken:
            rest = rest.without(group)
        assert slow_matches(vocabulary, by_sku[hit.sku], rest)
    n_broken = [len(h.breaks) for h in answer.relaxed]
    assert n_broken == sorted(n_broken)


def test_pages_neither_repeat_nor_skip(index: Index, vocabulary: Vocabulary, entries: list[Entry]) -> None:
    query = random_features(np.random.default_rng(2))
    whole = [h.sku for h in index.search(Query(query, limit=150)).hits]
    pages = [h.sku for at in range(0, 150, 40) for h in index.search(Query(query, limit=40, offset=at)).hits]
    assert pages == whole
    assert len(set(whole)) == len(entries)


def test_a_page_of_a_kept_generation_does_not_see_later_changes(
    index: Index, vocabulary: Vocabulary, entries: list[Entry], tmp_path: Path
) -> None:
    query = random_features(np.random.default_rng(2))
    first = index.search(Query(query, limit=10))
    with writer(tmp_path, vocabulary) as opened:
        opened.apply([], [h.sku for h in first.hits])
    again = index.search(Query(query, limit=10, generation=first.generation))
    assert again.hits == first.hits
    assert not {h.sku for h in index.search(Query(query, limit=10)).hits} & {h.sku for h in first.hits}


def test_a_generation_that_is_gone_is_said(
    index: Index, vocabulary: Vocabulary, tmp_path: Path, entries: list[Entry]
) -> None:
    with writer(tmp_path, vocabulary) as opened:
        opened.apply(random_entries(vocabulary, 30, 2))
        for _ in range(5):
            opened.apply([], [])
            opened.compact()
            opened.apply([entries[0]])
            opened.compact()
    with pytest.raises(GenerationGone, match="generation 1 is gone"):
        Index(tmp_path, schema(vocabulary)).search(Query(generation=1))


def test_an_empty_index_answers_nothing(tmp_path: Path, vocabulary: Vocabulary) -> None:
    answer = Index(tmp_path / "none", schema(vocabulary)).search(Query(random_features(np.random.default_rng(0))))
    assert (answer.total, answer.hits, answer.relaxed) == (0, [], [])


def test_add_replace_and_delete_are_seen_without_reopening(
    index: Index, vocabulary: Vocabulary, entries: list[Entry], tmp_path: Path
) -> None:
    relabelled = entries[0]._replace(labels=(vocabulary.label_ids["category", "scarf"],), price=None)
    with writer(tmp_path, vocabulary) as opened:
        opened.apply([relabelled], [entries[1].sku, "never there"])
    assert len(index) == len(entries) - 1
    assert index.entry(entries[0].sku).labels == relabelled.labels
    with pytest.raises(UnknownProduct):
        index.entry(entries[1].sku)
    assert index.search(Query(where=parse_where(["category=scarf"], vocabulary))).total == 1


def test_words_and_other_orders_come_as_a_list_of_skus(
    index: Index, vocabulary: Vocabulary, entries: list[Entry]
) -> None:
    chosen = [entries[7].sku, entries[3].sku, "unknown", entries[90].sku]
    answer = index.search(Query(among=chosen))
    assert [h.sku for h in answer.hits] == [chosen[0], chosen[1], chosen[3]]
    assert answer.total == 3


def test_a_product_is_not_similar_to_itself(index: Index, entries: list[Entry]) -> None:
    entry = index.entry(entries[4].sku)
    answer = index.search(Query(Features(entry.code, entry.colour), without=frozenset({entry.sku}), limit=200))
    assert entry.sku not in {h.sku for h in answer.hits}
    assert answer.total == len(entries) - 1


def test_why_names_the_labels_shared_and_missing(index: Index, vocabulary: Vocabulary, entries: list[Entry]) -> None:
    wishes = preferences(vocabulary)
    for hit in index.search(Query(random_features(np.random.default_rng(0)), wishes, limit=150)).hits:
        labels = set(index.entry(hit.sku).labels)
        assert set(hit.why.shared) == {p.label for p in wishes} & labels
        assert not set(hit.why.missing) & labels
        assert 0 <= hit.why.code <= 1
        total = (
            DEFAULT.code * hit.why.code + DEFAULT.colour * hit.why.colour + DEFAULT.labels * hit.why.labels
        ) / DEFAULT.total
        assert hit.distance == pytest.approx(total)


def test_a_second_writer_is_told_who_the_first_is(tmp_path: Path, vocabulary: Vocabulary) -> None:
    with writer(tmp_path, vocabulary), pytest.raises(IndexLocked, match=str(os.getpid())), writer(tmp_path, vocabulary):
        pass
    with writer(tmp_path, vocabulary) as opened:
        assert opened.apply([]) == 1


def test_an_index_of_other_weights_must_be_rebuilt(index: Index, vocabulary: Vocabulary, tmp_path: Path) -> None:
    with pytest.raises(IndexOutdated, match="--rebuild"):
        Index(tmp_path, Schema(vocabulary, N_BITS, "newer weights")).search(Query())
    with IndexWriter(tmp_path, Schema(vocabulary, N_BITS, "newer weights")) as opened:
        with pytest.raises(IndexOutdated):
            opened.apply([])
        opened.apply([], fresh=True)
    assert len(Index(tmp_path, Schema(vocabulary, N_BITS, "newer weights"))) == 0


def test_filters_on_everything_at_once_match_the_slow_way(
    index: Index, vocabulary: Vocabulary, entries: list[Entry]
) -> None:
    random = np.random.default_rng(11)
    for _ in range(60):
        expressions = []
        for group in random.choice(list(vocabulary.groups), 2, replace=False):
            values = random.choice(vocabulary.groups[group].values[:4], 2, replace=False)
            expressions.append(f"{group}{random.choice(['=', '!='])}{values[0]}")
            expressions.append(f"{group}={values[0]}+{values[1]}")
        where: Where = parse_where(expressions, vocabulary)
        expected = sorted(e.sku for e in entries if slow_matches(vocabulary, e, where))
        assert [h.sku for h in index.search(Query(where=where, limit=500)).hits] == expected
