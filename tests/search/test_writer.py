"""Writing: whatever the order of batches, flushes, merges and compactions, the index holds what was written."""

import multiprocessing
import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from attributes.vocabulary import Vocabulary
from search.codes import WidthMismatch
from search.following import Follower, GenerationGone, IndexOutdated
from search.index import Index
from search.layer import BadFeatures, Entry, RepeatedProduct, Schema, table_of
from search.packed import CorruptIndex, OldFormat
from search.query import Query
from search.ranking import DEFAULT
from search.segment import NoRoom, estimated_bytes
from search.upkeep import NoBackup, backup, restore, verify
from search.writer import IndexLocked, IndexWriter
from tests.search.catalogue import N_BITS, random_entries, random_features, schema, slow_distance

FLUSHED = 40


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def writer(folder: Path, vocabulary: Vocabulary, flushed: int = FLUSHED) -> IndexWriter:
    return IndexWriter(folder, schema(vocabulary), flushed=flushed)


def assert_holds(folder: Path, vocabulary: Vocabulary, held: dict[str, Entry], generation: int | None = None) -> None:
    """The index holds exactly these products, and finds them in the right order."""
    index = Index(folder, schema(vocabulary))
    query = random_features(np.random.default_rng(0))
    answer = index.search(Query(query, limit=10**4, generation=generation))
    slow = sorted((slow_distance(vocabulary, e, query, (), DEFAULT), e.sku) for e in held.values())
    assert answer.skus == [sku for _, sku in slow]
    assert answer.total == len(held)
    if generation is None:
        for sku, entry in held.items():
            found = index.entry(sku)
            assert (found.labels, found.price) == (entry.labels, entry.price), sku
            np.testing.assert_array_equal(found.code, entry.code)


@pytest.mark.parametrize("seed", range(6))
def test_any_history_gives_the_same_as_a_dictionary(seed: int, tmp_path: Path, vocabulary: Vocabulary) -> None:
    random, pool = np.random.default_rng(seed), random_entries(vocabulary, 200, seed)
    held: dict[str, Entry] = {}
    generations: dict[int, dict[str, Entry]] = {}
    with writer(tmp_path, vocabulary) as opened:
        for step in range(45):
            puts = [pool[i] for i in random.choice(200, random.integers(0, 60 if step % 9 == 5 else 12), replace=False)]
            puts = [e._replace(price=int(random.integers(1, 9999))) for e in puts]
            deletes = [str(s) for s in random.choice([*held, "x"], min(len(held), 3))] if step % 3 == 0 else []
            relabels = {}
            if step % 2 and held:
                for sku in random.choice(list(held), min(len(held), 5), replace=False):
                    relabels[str(sku)] = pool[int(random.integers(200))].labels
            generation = opened.apply(puts, deletes, relabels=relabels)
            for sku in deletes:
                held.pop(sku, None)
            held |= {s: held[s]._replace(labels=labels) for s, labels in relabels.items() if s in held}
            held |= {e.sku: e for e in puts}
            generations[generation] = dict(held)
            if step in (13, 31):
                opened.compact()
            if step % 11 == 0:
                assert_holds(tmp_path, vocabulary, held)
        opened.wait()
        assert_holds(tmp_path, vocabulary, held)
        answered = 0
        for generation, then in generations.items():
            try:
                assert_holds(tmp_path, vocabulary, then, generation)
                answered += 1
            except GenerationGone:
                assert not answered, "generations go oldest first"
        assert answered >= 3
    assert verify(tmp_path, schema(vocabulary)) == []
    assert_holds(tmp_path, vocabulary, held)


def test_a_reader_sees_a_batch_as_soon_as_it_is_applied(tmp_path: Path, vocabulary: Vocabulary) -> None:
    pool = random_entries(vocabulary, 120)
    index = Index(tmp_path, schema(vocabulary))
    with writer(tmp_path, vocabulary) as opened:
        for i, entry in enumerate(pool):
            opened.apply([entry])
            assert len(index) == i + 1
            assert entry.sku in index


def test_relabelling_keeps_everything_else(tmp_path: Path, vocabulary: Vocabulary) -> None:
    entries = random_entries(vocabulary, 100)
    with writer(tmp_path, vocabulary, 10**6) as opened:
        opened.apply(entries[:80], fresh=True)
        opened.apply(entries[80:])
        opened.apply([], relabels={e.sku: (3,) for e in entries[60:]} | {"not there": (1,)})
    held = {e.sku: e._replace(labels=(3,)) if i >= 60 else e for i, e in enumerate(entries)}
    assert_holds(tmp_path, vocabulary, held)


def test_a_batch_may_name_a_product_in_every_way(tmp_path: Path, vocabulary: Vocabulary) -> None:
    one, two, three = random_entries(vocabulary, 3)
    with writer(tmp_path, vocabulary) as opened:
        opened.apply([one, two, three])
        put = one._replace(price=77)
        opened.apply([one, put], [one.sku, two.sku], relabels={one.sku: (1,), two.sku: (2,), three.sku: (5,)})
    assert_holds(tmp_path, vocabulary, {one.sku: put, three.sku: three._replace(labels=(5,))})


def test_a_large_batch_becomes_a_segment_and_replaces_what_was(tmp_path: Path, vocabulary: Vocabulary) -> None:
    entries = random_entries(vocabulary, 300)
    with writer(tmp_path, vocabulary) as opened:
        opened.apply(entries[:30])
        again = [e._replace(price=5) for e in entries[20:]]
        opened.apply(table_of(again, schema(vocabulary)), [entries[0].sku], relabels={entries[1].sku: (7,)})
        held = {e.sku: e for e in entries[2:20]} | {e.sku: e for e in again}
        held[entries[1].sku] = entries[1]._replace(labels=(7,))
        assert_holds(tmp_path, vocabulary, held)
        opened.compact()
        assert_holds(tmp_path, vocabulary, held)


def test_compacting_leaves_one_segment_and_old_files_go(tmp_path: Path, vocabulary: Vocabulary) -> None:
    with writer(tmp_path, vocabulary) as opened:
        for i in range(12):
            opened.apply(random_entries(vocabulary, 50, i))
            opened.compact()
        assert len(Follower(tmp_path, schema(vocabulary)).snapshot().views) == 1
    assert len(list(tmp_path.glob("segment-*"))) <= 6
    assert len(list(tmp_path.glob("epoch-*"))) == 4


def test_searches_go_on_while_batches_arrive_and_segments_merge(tmp_path: Path, vocabulary: Vocabulary) -> None:
    pool, index, wrong = random_entries(vocabulary, 400), Index(tmp_path, schema(vocabulary)), []
    done = threading.Event()

    def search() -> None:
        while not done.is_set():
            answer = index.search(Query(random_features(np.random.default_rng(1)), limit=500))
            if len(set(answer.skus)) != answer.total or sum(answer.facets["category"].values()) != answer.total:
                wrong.append(answer)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    with writer(tmp_path, vocabulary) as opened:
        for i in range(0, 400, 10):
            opened.apply(pool[i : i + 10], [pool[max(i - 30, 0)].sku])
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_second_writer_is_told_who_the_first_is(tmp_path: Path, vocabulary: Vocabulary) -> None:
    with writer(tmp_path, vocabulary), pytest.raises(IndexLocked, match=str(os.getpid())), writer(tmp_path, vocabulary):
        pass
    with writer(tmp_path, vocabulary) as opened:
        assert opened.apply([]) == 1


def count_when_told(
    folder: str, vocabulary: Vocabulary, told: multiprocessing.Queue, said: multiprocessing.Queue
) -> None:
    index = Index(Path(folder), schema(vocabulary))
    said.put(len(index))
    while (wanted := told.get(timeout=60)) is not None:
        started = time.monotonic()
        while len(index) != wanted and time.monotonic() - started < 5:
            time.sleep(0.001)
        said.put(len(index))


def test_another_process_sees_every_batch_without_reopening(tmp_path: Path, vocabulary: Vocabulary) -> None:
    context = multiprocessing.get_context("spawn")
    told, said = context.Queue(), context.Queue()
    reader = context.Process(target=count_when_told, args=(str(tmp_path), vocabulary, told, said))
    pool = random_entries(vocabulary, 150)
    with writer(tmp_path, vocabulary) as opened:
        opened.apply(pool[:50])
        reader.start()
        assert said.get(timeout=60) == 50
        for n in (51, 60, 110, 150):
            opened.apply(pool[:n])
            told.put(n)
            assert said.get(timeout=60) == n
    told.put(None)
    reader.join()


def test_an_index_of_other_weights_must_be_rebuilt(tmp_path: Path, vocabulary: Vocabulary) -> None:
    newer = Schema(vocabulary, N_BITS, "newer weights")
    with writer(tmp_path, vocabulary) as opened:
        opened.apply(random_entries(vocabulary, 5))
    with pytest.raises(IndexOutdated, match="--rebuild"):
        Index(tmp_path, newer).search(Query())
    with IndexWriter(tmp_path, newer) as opened:
        with pytest.raises(IndexOutdated):
            opened.apply([])
        assert opened.apply([], fresh=True) == 2
    assert len(Index(tmp_path, newer)) == 0


def test_an_index_of_the_old_format_is_named_and_replaced(tmp_path: Path, vocabulary: Vocabulary) -> None:
    (tmp_path / "generation-000000004.segment").write_bytes(b"HABRDSH1" + bytes(100))
    (tmp_path / "CURRENT").write_text("generation-000000004.segment\n")
    with pytest.raises(OldFormat, match="before 1.0"):
        Index(tmp_path, schema(vocabulary)).snapshot()
    with writer(tmp_path, vocabulary) as opened:
        with pytest.raises(OldFormat):
            opened.apply([])
        opened.apply(random_entries(vocabulary, 9), fresh=True)
    assert len(Index(tmp_path, schema(vocabulary))) == 9
    assert not (tmp_path / "generation-000000004.segment").exists()


def test_starting_anew_mends_a_damaged_index_and_goes_on_counting(tmp_path: Path, vocabulary: Vocabulary) -> None:
    with writer(tmp_path, vocabulary) as opened:
        generation = opened.apply(random_entries(vocabulary, 100))
    segment = next(tmp_path.glob("*.hbs"))
    segment.write_bytes(segment.read_bytes()[:-9])
    with pytest.raises(CorruptIndex, match=segment.name):
        Index(tmp_path, schema(vocabulary)).snapshot()
    with writer(tmp_path, vocabulary) as opened:
        assert opened.apply(random_entries(vocabulary, 7), fresh=True) > generation
    assert len(Index(tmp_path, schema(vocabulary))) == 7


def test_a_backup_is_an_index_and_can_be_restored(tmp_path: Path, vocabulary: Vocabulary) -> None:
    folder, kept, entries = tmp_path / "index", tmp_path / "kept", random_entries(vocabulary, 130)
    with writer(folder, vocabulary) as opened:
        for low in (0, 50, 100):
            opened.apply(entries[low : low + 50], [e.sku for e in entries[low : low + 3]])
        held = {e.sku: e for i, e in enumerate(entries)}
        generation = backup(folder, kept, schema(vocabulary))
        assert_holds(kept, vocabulary, held)
        with pytest.raises(NoBackup, match="there already"):
            backup(folder, kept, schema(vocabulary))
        opened.apply([], list(held)[:60])
        assert restore(kept, opened) > generation
        assert_holds(folder, vocabulary, held)
        opened.apply([], list(held)[:60])
    assert_holds(folder, vocabulary, dict(list(held.items())[60:]))
    assert_holds(kept, vocabulary, held)


def test_a_damaged_or_missing_backup_is_refused_and_the_index_stays(tmp_path: Path, vocabulary: Vocabulary) -> None:
    folder, kept, entries = tmp_path / "index", tmp_path / "kept", random_entries(vocabulary, 60)
    with writer(folder, vocabulary) as opened:
        opened.apply(entries)
        backup(folder, kept, schema(vocabulary))
        file = next(kept.glob("*.hbs"))
        file.write_bytes(bytes(100) + file.read_bytes()[100:])
        with pytest.raises(CorruptIndex, match=file.name):
            restore(kept, opened)
        with pytest.raises(NoBackup):
            restore(tmp_path / "nowhere", opened)
    assert_holds(folder, vocabulary, {e.sku: e for e in entries})


def test_what_cannot_fit_on_the_disk_is_refused_before_it_is_written(
    tmp_path: Path, vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    with writer(tmp_path, vocabulary) as opened:
        opened.apply(random_entries(vocabulary, 5))
        monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(10**6, 10**6 - 4000, 4000))
        with pytest.raises(NoRoom, match=r"needs .* MiB, .* free"):
            opened.apply(random_entries(vocabulary, 300, 4))
        assert opened.apply(random_entries(vocabulary, 5)) == 2
    assert len(Index(tmp_path, schema(vocabulary))) == 5


def test_the_estimate_is_near_the_size(tmp_path: Path, vocabulary: Vocabulary) -> None:
    entries = random_entries(vocabulary, 5000)
    with writer(tmp_path, vocabulary) as opened:
        opened.apply(entries)
    size = next(tmp_path.glob("*.hbs")).stat().st_size
    assert 0.7 * size < estimated_bytes(5000, schema(vocabulary)) < 1.6 * size


def test_wrong_codes_and_features_are_refused_whole(tmp_path: Path, vocabulary: Vocabulary) -> None:
    one, two = random_entries(vocabulary, 2)
    with writer(tmp_path, vocabulary) as opened:
        with pytest.raises(WidthMismatch, match="2 words, this one has 5"):
            opened.apply([one, two._replace(code=np.zeros(5, np.uint64))])
        assert opened.apply([one]) == 1
    floats = Schema(vocabulary, N_BITS, "test", n_floats=4)
    with IndexWriter(tmp_path / "floats", floats) as opened:
        with pytest.raises(BadFeatures, match="not finite"):
            opened.apply([one._replace(floats=np.array([1, 2, np.nan, 4], np.float32))])
        with pytest.raises(WidthMismatch, match="keeps 4 float features"):
            opened.apply([one])


def test_a_table_that_names_a_product_twice_is_refused_whole(tmp_path: Path, vocabulary: Vocabulary) -> None:
    entries = random_entries(vocabulary, 60)
    with writer(tmp_path, vocabulary) as opened:
        opened.apply(entries[:3])
        with pytest.raises(RepeatedProduct, match=f"{entries[7].sku} is there more than once"):
            opened.apply(table_of([*entries, entries[7]], schema(vocabulary)))
        assert opened.apply(entries[3:9]) == 2
    assert_holds(tmp_path, vocabulary, {e.sku: e for e in entries[:9]})
