"""Beyond plain searches: explanations, the fine step, the approximate mode, odd and hostile queries."""

from pathlib import Path

import numpy as np
import pytest

from attributes.vocabulary import UnknownAttribute, Vocabulary
from search.certificate import NothingToCertify, certify
from search.codes import WidthMismatch
from search.features import Features
from search.index import Index, UnknownProduct
from search.layer import BadFeatures, Entry, Schema, table_of
from search.query import BadPage, Fine, Query
from search.ranking import CODE_ALONE, BadWeights, Preference, Weights
from search.where import BadFilter, Where, parse_where
from search.writer import IndexWriter
from tests.search.catalogue import N_BITS, random_entries, random_features, schema, slow_matches

N_FLOATS = 12


@pytest.fixture(scope="module")
def entries(vocabulary: Vocabulary) -> list[Entry]:
    random = np.random.default_rng(8)
    return [
        e._replace(floats=random.normal(size=N_FLOATS).astype(np.float32)) for e in random_entries(vocabulary, 260, 5)
    ]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, vocabulary: Vocabulary, entries: list[Entry]) -> Index:
    """Three layers: two segments and what the journal holds; some products are deleted and replaced."""
    folder, floats = tmp_path_factory.mktemp("queries"), Schema(vocabulary, N_BITS, "test", N_FLOATS)
    with IndexWriter(folder, floats, flushed=50) as writer:
        writer.apply(entries[:150])
        writer.apply(entries[150:230], [entries[0].sku])
        writer.apply(entries[230:])
        writer.apply([entries[5]])
    return Index(folder, floats)


@pytest.fixture
def query() -> Query:
    return Query(random_features(np.random.default_rng(3)), [Preference(4, 0.7), Preference(30, 0.4)], limit=300)


def test_a_product_in_the_list_is_explained_by_its_place(index: Index, query: Query) -> None:
    answer = index.search(query)
    for rank in (0, 7, 100, answer.total - 1):
        explained = index.explain(query, answer.skus[rank])
        assert (explained.rank, explained.breaks) == (rank, ())
        assert explained.hit == answer.hits[rank]


def test_a_product_that_is_not_in_the_list_is_explained_too(
    index: Index, vocabulary: Vocabulary, entries: list[Entry], query: Query
) -> None:
    where = parse_where(["category=t-shirt", "colour=black", "price<=40"], vocabulary)
    for entry in entries[1:40]:
        explained = index.explain(query._replace(where=where), entry.sku)
        assert (explained.rank is not None) == slow_matches(vocabulary, entry, where)
        for group in where.groups():
            holds = slow_matches(vocabulary, entry, Where(
                {g: v for g, v in where.wanted.items() if g == group}, {}, {g: v for g, v in where.ranges.items() if g == group}
            ))  # fmt: skip
            assert (where.spelled(group) in explained.breaks) != holds
    assert not index.explain(query, "nowhere").is_indexed
    assert not index.explain(query, entries[0].sku).is_indexed
    left_out = index.explain(query._replace(without=frozenset({entries[9].sku})), entries[9].sku)
    assert (left_out.is_left_out, left_out.rank) == (True, None)
    assert index.explain(query._replace(among=[entries[9].sku]), entries[10].sku).is_left_out


def test_only_skus_that_are_included_count_and_excluded_ones_do_not(
    index: Index, entries: list[Entry], query: Query
) -> None:
    skus = [e.sku for e in entries[20:120]]
    answer = index.search(query._replace(among=[*skus, "unknown"], without=frozenset(skus[:10])))
    assert set(answer.skus) == set(skus[10:])
    assert sum(answer.facets["category"].values()) == answer.total == 90
    whole = [sku for sku in index.search(query).skus if sku in set(skus[10:])]
    assert answer.skus == whole


def test_the_fine_step_ranks_a_pool_by_euclidean_distance(index: Index, entries: list[Entry], query: Query) -> None:
    wanted = np.random.default_rng(1).normal(size=N_FLOATS).astype(np.float32)
    near = [e.sku for e in sorted(
        (e for e in entries[1:]), key=lambda e: (_bits(e, query), e.sku)
    )][:40]  # fmt: skip
    by_sku = {e.sku: e for e in entries}
    halves = {s: by_sku[s].floats.astype(np.float16).astype(np.float32) for s in by_sku}
    expected = sorted(near, key=lambda s: (np.float32(((halves[s] - wanted) ** 2).sum()), s))
    answer = index.search(query._replace(fine=Fine(wanted, 40), limit=25))
    assert answer.skus == expected[:25]
    np.testing.assert_allclose(answer.distances, [np.linalg.norm(halves[s] - wanted) for s in answer.skus], rtol=1e-5)
    assert [h.distance for h in answer.hits] == answer.distances
    assert answer.total == 259


def test_a_pool_by_threshold_holds_what_is_within(index: Index, entries: list[Entry], query: Query) -> None:
    wanted = np.zeros(N_FLOATS, np.float32)
    for threshold in (0, 40, 50, 100):
        within = {e.sku for e in entries[1:] if _bits(e, query) <= threshold}
        answer = index.search(query._replace(fine=Fine(wanted, 1000, threshold), limit=400))
        assert set(answer.skus) == within


def _bits(entry: Entry, query: Query) -> int:
    return int(np.bitwise_count(entry.code ^ query.features.code).sum())


def test_a_fine_step_that_makes_no_sense_is_refused(
    index: Index, tmp_path: Path, vocabulary: Vocabulary, query: Query
) -> None:
    with pytest.raises(WidthMismatch, match="keeps 12 float features"):
        index.search(query._replace(fine=Fine(np.zeros(3, np.float32))))
    with pytest.raises(BadFeatures, match="not finite"):
        index.search(query._replace(fine=Fine(np.full(12, np.nan, np.float32))))
    with pytest.raises(BadPage):
        index.search(query._replace(fine=Fine(np.zeros(12, np.float32), 0)))
    with pytest.raises(WidthMismatch, match="keeps no float"):
        Index(tmp_path, schema(vocabulary)).search(query._replace(fine=Fine(np.zeros(12, np.float32))))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, vocabulary: Vocabulary) -> Index:
    """Enough products for clusters: 12,000 codes round 60 centres."""
    random, folder = np.random.default_rng(2), tmp_path_factory.mktemp("large")
    entries = random_entries(vocabulary, 3000, 3)
    centres = random.integers(0, 2**63, (60, 2), dtype=np.uint64)
    many = []
    for i in range(12_000):
        noise = np.packbits(random.random(128) < 0.1, bitorder="little").view("<u8")
        code = centres[i % 60] ^ noise
        code[1] &= np.uint64((1 << (N_BITS - 64)) - 1)
        many.append(entries[i % 3000]._replace(sku=f"q{i}", code=code))
    with IndexWriter(folder, schema(vocabulary)) as writer:
        writer.apply(table_of(many[:11_900], schema(vocabulary)))
        writer.apply(many[11_900:])
    return Index(folder, schema(vocabulary))


def test_the_approximate_mode_says_how_much_it_looked_at_and_finds_most(large: Index, vocabulary: Vocabulary) -> None:
    layer = large.snapshot().views[0].layer
    assert len(layer.centres) > 10
    shares, recalls = [], []
    for seed in range(20):
        row = int(np.random.default_rng(seed).integers(len(layer)))
        query = Query(
            Features(layer.table.codes[row], layer.table.colours[row]), limit=10, weights=CODE_ALONE, relax=False
        )
        exact, near = large.search(query), large.search(query._replace(nprobe=10))
        assert exact.looked_at == 1
        assert (near.total, near.facets) == (exact.total, exact.facets)
        shares.append(near.looked_at)
        recalls.append(sum(d <= exact.distances[-1] for d in near.distances) / 10)
    assert max(shares) < 0.9
    assert np.mean(recalls) > 0.9
    assert large.search(query._replace(nprobe=10**6)).skus == exact.skus


@pytest.mark.parametrize(
    "filters", [["colour=black"], ["colour=black", "fit=slim"], ["category=polo", "colour=white"], ["price<=5"]]
)
def test_rare_filters_make_the_approximate_mode_look_at_more(
    large: Index, vocabulary: Vocabulary, filters: list[str]
) -> None:
    query = Query(
        random_features(np.random.default_rng(4)), limit=10, where=parse_where(filters, vocabulary), relax=False
    )
    exact, near = large.search(query), large.search(query._replace(nprobe=2))
    assert len(near.skus) == len(exact.skus)
    assert near.looked_at == 1 or near.looked_at * near.total >= 10


def test_several_threads_find_the_same(large: Index, vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.nearest.SPLIT", 1000)
    threaded = Index(large.folder, large.schema, threads=3)
    for seed in range(6):
        query = Query(random_features(np.random.default_rng(seed)), [Preference(30, 0.5)], limit=70)
        assert threaded.search(query).hits == large.search(query).hits


def test_a_certificate_is_kept_with_the_index(large: Index, vocabulary: Vocabulary) -> None:
    certificate = certify(large.folder)
    assert certificate["products"] == 12_000
    assert set(certificate["nprobe"]["64"]) >= {"1.0", "0.1"}
    assert 0.9 < certificate["nprobe"]["256"]["1.0"]["recall"] <= 1
    with IndexWriter(large.folder, large.schema) as writer:
        writer.apply([], [])
        writer.compact()
    assert (large.folder / "certificate.json").is_file()


def test_an_index_with_too_little_in_it_is_not_certified(tmp_path: Path, vocabulary: Vocabulary) -> None:
    with pytest.raises(NothingToCertify, match="no index"):
        certify(tmp_path)
    with IndexWriter(tmp_path, schema(vocabulary)) as writer:
        writer.apply(random_entries(vocabulary, 20))
    with pytest.raises(NothingToCertify, match="at least 100"):
        certify(tmp_path)


@pytest.mark.parametrize(
    ("limit", "offset", "n"), [(0, 0, 0), (5, 0, 5), (10**6, 0, 259), (10, 255, 4), (10, 10**7, 0)]
)
def test_any_page_has_the_products_that_are_there(index: Index, query: Query, limit: int, offset: int, n: int) -> None:
    answer = index.search(query._replace(limit=limit, offset=offset))
    assert (len(answer.skus), len(answer.hits), answer.total) == (n, n, 259)


@pytest.mark.parametrize("wrong", [{"limit": -1}, {"offset": -3}, {"nprobe": -2}])
def test_a_page_that_makes_no_sense_is_refused(index: Index, query: Query, wrong: dict[str, int]) -> None:
    with pytest.raises(BadPage, match="cannot be -"):
        index.search(query._replace(**wrong))


@pytest.mark.parametrize("weights", [Weights(0, 0, 0), Weights(-1, 2, 2), Weights(10**7, 0, 0)])
def test_weights_that_make_no_sense_are_refused(index: Index, query: Query, weights: Weights) -> None:
    with pytest.raises(BadWeights, match="whole numbers"):
        index.search(query._replace(weights=weights))


def test_codes_of_another_width_are_refused_with_both_numbers(index: Index, query: Query) -> None:
    with pytest.raises(WidthMismatch, match="2 words, the query has 20"):
        index.search(query._replace(features=Features(np.zeros(20, np.uint64), query.features.colour)))
    with pytest.raises(WidthMismatch, match="64 bins, the query has 12"):
        index.search(query._replace(features=Features(query.features.code, np.zeros(12, np.uint8))))


def test_a_filter_of_a_thousand_terms_is_answered_exactly(
    index: Index, vocabulary: Vocabulary, entries: list[Entry], query: Query
) -> None:
    random, expressions = np.random.default_rng(6), []
    for _ in range(1000):
        group = str(random.choice(["colour", "detail", "material"]))
        chosen = random.choice(vocabulary.groups[group].values, 2, replace=False)
        expressions.append(f"{group}={'+'.join(chosen)}" if random.random() < 0.7 else f"{group}={chosen[0]}")
    where = parse_where(expressions, vocabulary)
    expected = {e.sku for e in entries[1:] if slow_matches(vocabulary, e, where)}
    assert set(index.search(query._replace(where=where, relax=False)).skus) == expected


def test_similar_products_leave_out_the_product_and_use_its_labels(index: Index, entries: list[Entry]) -> None:
    answer = index.similar(entries[12].sku, Query(limit=5))
    assert entries[12].sku not in answer.skus
    assert set(answer.hits[0].why.shared) <= set(entries[12].labels)
    with pytest.raises(UnknownProduct, match="nothing-here"):
        index.similar("nothing-here", Query())


def test_counting_is_the_total_of_a_search(index: Index, vocabulary: Vocabulary) -> None:
    for filters in ([], ["colour=black"], ["price>=20", "colour!=white"]):
        where = parse_where(filters, vocabulary)
        assert index.count(where) == index.search(Query(where=where)).total


def test_other_numbers_than_the_price_are_filtered_too(tmp_path: Path, vocabulary: Vocabulary) -> None:
    stocked = Schema(vocabulary, N_BITS, "test", numbers=("price", "stock"))
    entries = [
        e._replace(numbers=(("stock", 100 * i),) if i % 3 else ()) for i, e in enumerate(random_entries(vocabulary, 40))
    ]
    with IndexWriter(tmp_path, stocked) as writer:
        writer.apply(entries)
    where = parse_where(["stock>=5", "stock<=20", "price>=1"], vocabulary, ("price", "stock"))
    found = Index(tmp_path, stocked).search(Query(where=where, limit=50, relax=False))
    assert set(found.skus) == {e.sku for e in entries if slow_matches(vocabulary, e, where)}
    assert Index(tmp_path, stocked).entry(entries[4].sku).numbers == (("stock", 400),)


@pytest.mark.parametrize("weights", [CODE_ALONE, Weights(60, 2, 38), Weights(1, 0, 99), Weights(0, 1, 0)])
def test_leaving_clusters_unread_changes_nothing(
    large: Index, monkeypatch: pytest.MonkeyPatch, weights: Weights
) -> None:
    layer, queries = large.snapshot().views[0].layer, []
    for seed in range(12):
        row = int(np.random.default_rng(seed).integers(len(layer)))
        features = (
            random_features(np.random.default_rng(seed))
            if seed % 2
            else Features(layer.table.codes[row], layer.table.colours[row])
        )
        queries.append(
            Query(
                features, [Preference(30, 0.5), Preference(1, 0.9)], limit=1 + 9 * seed, weights=weights, facets=False
            )
        )
    monkeypatch.setattr("search.pruning.WORTH", 10**9)
    whole = [large.search(q) for q in queries]
    monkeypatch.setattr("search.pruning.WORTH", 100)
    for query, answer in zip(queries, whole, strict=True):
        pruned = large.search(query)
        assert (pruned.skus, pruned.distances) == (answer.skus, answer.distances)


def test_no_row_is_farther_from_its_centre_than_the_radius(large: Index) -> None:
    layer = large.snapshot().views[0].layer
    farthest = []
    for cluster, (low, high) in enumerate(layer.bounds.tolist()):
        distances = np.bitwise_count(layer.table.codes[low:high] ^ layer.centres[cluster]).sum(1)
        farthest.append(distances.max())
    np.testing.assert_array_equal(farthest, layer.radii)


def test_attributes_and_numbers_that_are_not_there_are_named(index: Index, query: Query) -> None:
    with pytest.raises(UnknownAttribute, match="colour has no value 'mauve'"):
        index.search(query._replace(where=Where({"colour": (("mauve",),)})))
    with pytest.raises(UnknownAttribute, match="no attribute group 'mood'"):
        index.count(Where({}, {"mood": ("bright",)}))
    with pytest.raises(BadFilter, match="keeps no number 'stock'; it keeps: price"):
        index.search(query._replace(where=Where(ranges={"stock": (1, None)})))
