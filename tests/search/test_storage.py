"""Files: every byte is checked, what was never acknowledged is not read, and what was written once opens for ever."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attributes.vocabulary import Vocabulary
from search.durable import Disk
from search.following import Follower
from search.index import Index
from search.journal import Acknowledged, JournalReader, JournalWriter, create_journal
from search.manifest import CURRENT, commit, read_current, read_manifest
from search.packed import CorruptIndex, OldFormat, open_packed, packed, unpacked
from search.segment import open_segment
from search.writer import IndexWriter
from tests.search.catalogue import random_entries, schema

FORMATS = Path(__file__).with_name("formats")

ARRAYS = st.builds(
    lambda kind, seed, shape: np.random.default_rng(seed).integers(0, 200, shape).astype(kind),
    st.sampled_from(["<u8", "<i8", "|u1", "<u4", "<f4"]), st.integers(0, 99),
    st.one_of(st.tuples(st.integers(0, 40)), st.tuples(st.integers(0, 9), st.integers(0, 9))),
)  # fmt: skip


@settings(deadline=None)
@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=5), ARRAYS, max_size=5))
def test_what_is_packed_is_unpacked(arrays: dict[str, np.ndarray]) -> None:
    said, found = unpacked(memoryview(b"".join(packed({"kind": "test"}, arrays.items()))), "it")
    assert said == {"kind": "test"}
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


@settings(deadline=None)
@given(st.data())
def test_any_flipped_bit_and_any_cut_is_noticed(data: st.DataObject) -> None:
    whole = b"".join(packed({"kind": "test"}, [("a", np.arange(70)), ("b", np.zeros((3, 5), np.uint8))]))
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptIndex, match="the-file"):
        unpacked(memoryview(bytes(damaged)), "the-file")
    with pytest.raises(CorruptIndex, match="the-file"):
        unpacked(memoryview(whole[: data.draw(st.integers(0, len(whole) - 1))]), "the-file")
    with pytest.raises(CorruptIndex):
        unpacked(memoryview(whole + b"\0"), "the-file")


def journal(tmp_path: Path, bodies: list[bytes]) -> Path:
    path = tmp_path / "journal-000000001.log"
    create_journal(path, Disk(), 7)
    writer = JournalWriter(path, Disk(), JournalReader(path).acknowledged())
    for i, body in enumerate(bodies):
        writer.append(body, 8 + i)
    writer.close()
    return path


@settings(max_examples=25, deadline=None)
@given(bodies=st.lists(st.binary(max_size=300), max_size=6))
def test_a_journal_gives_back_its_batches_in_order(
    tmp_path_factory: pytest.TempPathFactory, bodies: list[bytes]
) -> None:
    reader = JournalReader(journal(tmp_path_factory.mktemp("j"), bodies))
    assert [(r.generation, r.body) for r in reader.records()] == [(8 + i, b) for i, b in enumerate(bodies)]
    assert not reader.has_more()


def test_a_reader_follows_and_a_record_never_acknowledged_is_not_read(tmp_path: Path) -> None:
    path = journal(tmp_path, [b"one"])
    reader = JournalReader(path)
    assert [r.body for r in reader.records()] == [b"one"]
    with path.open("ab") as opened:
        opened.write(b"half a record that a crash has left")
    assert list(reader.records()) == []
    writer = JournalWriter(path, Disk(), reader.acknowledged())
    writer.append(b"two", 9)
    assert reader.has_more()
    assert [r.body for r in reader.records()] == [b"two"]
    assert reader.acknowledged().generation == 9


def test_a_journal_that_lost_an_acknowledged_record_is_said(tmp_path: Path) -> None:
    path = journal(tmp_path, [b"one", b"two"])
    end = JournalReader(path).acknowledged().end
    with path.open("rb+") as opened:
        opened.truncate(end - 1)
    with pytest.raises(CorruptIndex, match=f"{path.name} is truncated: {end} bytes were promised"):
        list(JournalReader(path).records())


@pytest.mark.parametrize("at", [3, 70, 100, 130, 170, 2000, 4100, 4130, 4160])
def test_any_flipped_byte_of_a_journal_is_said(tmp_path: Path, at: int) -> None:
    path = journal(tmp_path, [b"a body of some length, so that there is something to flip", b"two"])
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 0x10
    path.write_bytes(damaged)
    with pytest.raises(CorruptIndex, match=path.name):
        list(JournalReader(path).records())


def test_the_same_journal_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = journal(tmp_path, [b"one"])
    again = JournalWriter(path, Disk(), JournalReader(path).acknowledged())
    again.append(b"two", 9)
    assert [r.body for r in JournalReader(path).records()] == [b"one", b"two"]
    assert isinstance(JournalReader(path).acknowledged(), Acknowledged)


@pytest.fixture
def folder(tmp_path: Path, vocabulary: Vocabulary) -> Path:
    with IndexWriter(tmp_path, schema(vocabulary), flushed=40) as opened:
        opened.apply(random_entries(vocabulary, 60))
        opened.apply(random_entries(vocabulary, 5, 9))
    return tmp_path


@pytest.mark.parametrize("said", [b"", b"epoch-000000002.manifest\n", b"epoch-000000001.manifest 0\n", b"\xff\xfe x\n"])
def test_a_damaged_current_is_said(folder: Path, vocabulary: Vocabulary, said: bytes) -> None:
    (folder / CURRENT).write_bytes(said)
    with pytest.raises(CorruptIndex, match=r"CURRENT|epoch-"):
        Follower(folder, schema(vocabulary)).snapshot()


def test_a_lost_current_is_not_taken_for_an_empty_index(folder: Path, vocabulary: Vocabulary) -> None:
    (folder / CURRENT).unlink()
    with pytest.raises(CorruptIndex, match="CURRENT is missing"):
        Follower(folder, schema(vocabulary)).snapshot()


def test_a_missing_segment_is_said_with_its_name(folder: Path, vocabulary: Vocabulary) -> None:
    segment = next(folder.glob("*.hbs"))
    segment.unlink()
    with pytest.raises(CorruptIndex, match=segment.name):
        Index(folder, schema(vocabulary)).snapshot()


def test_a_manifest_of_a_later_release_is_refused_in_words(folder: Path, vocabulary: Vocabulary) -> None:
    manifest = read_current(folder)
    file = folder / f"epoch-{manifest.epoch:09d}.manifest"
    later = file.read_bytes().split(b"\n")[0].replace(b'"format": 2', b'"format": 3')
    from xxhash import xxh3_64_hexdigest

    file.write_bytes(later + b"\n" + xxh3_64_hexdigest(later).encode() + b"\n")
    with pytest.raises(CorruptIndex, match="later release"):
        read_manifest(file)


def test_a_file_of_another_kind_is_no_segment(tmp_path: Path) -> None:
    file = tmp_path / "other.hbs"
    file.write_bytes(b"".join(packed({"kind": "changes", "version": 2}, [])))
    with pytest.raises(CorruptIndex, match="is not a segment"):
        open_segment(file)
    file.write_bytes(b"".join(packed({"kind": "segment", "version": 99}, [])))
    with pytest.raises(CorruptIndex, match="has format 99"):
        open_segment(file)
    with pytest.raises(CorruptIndex, match="cannot be opened"):
        open_packed(tmp_path / "nothing.hbs")


def test_files_of_before_the_promise_are_named_so(tmp_path: Path) -> None:
    file = tmp_path / "generation-000000001.segment"
    file.write_bytes(b"HABRDSH1" + bytes(200))
    with pytest.raises(OldFormat, match="before 1.0"):
        open_segment(file)


def test_rows_of_a_category_lie_together(folder: Path, vocabulary: Vocabulary) -> None:
    from search.postings import first_label

    layer = open_segment(next(folder.glob("*.hbs"))).layer
    categories = first_label(layer.table.labels, 0, len(vocabulary.categories))
    assert (np.diff(categories) >= 0).all()
    assert layer.runs[0] == 0
    assert layer.runs[-1] == len(layer)


@pytest.mark.parametrize("sample", sorted(FORMATS.glob("format-*")), ids=lambda p: p.name)
def test_every_format_that_was_promised_still_opens(sample: Path, tmp_path: Path, vocabulary: Vocabulary) -> None:
    """The sample was written by the release that brought its format; it is never written again."""
    expected = json.loads((sample / "expected.json").read_text())
    shutil.copytree(sample, tmp_path / "index")
    manifest = read_current(tmp_path / "index")
    assert manifest.generation <= expected["generation"]
    segment = open_segment(tmp_path / "index" / manifest.segments[0])
    products = {p["sku"]: p for p in expected["products"]}
    in_segment = dict(zip(segment.layer.table.names.tolist(), range(len(segment)), strict=True))
    for sku, row in in_segment.items():
        if sku in products and not products[sku]["changed"]:
            assert list(segment.layer.label_ids(row)) == products[sku]["labels"]
            assert segment.layer.table.codes[row].tolist() == products[sku]["code"]
    if manifest.vocabulary == vocabulary.fingerprint:  # else its labels mean other words now, and it must be rebuilt
        index = Index(tmp_path / "index", schema(vocabulary))
        assert index.snapshot().generation == expected["generation"]
        assert len(index) == len(products)
        for sku, product in products.items():
            entry = index.entry(sku)
            assert (list(entry.labels), entry.price) == (product["labels"], product["price"])
        with IndexWriter(tmp_path / "index", schema(vocabulary)) as opened:
            assert opened.apply([]) == expected["generation"] + 1


def test_committing_names_the_checksum_of_the_manifest(tmp_path: Path, folder: Path) -> None:
    manifest = read_current(folder)
    commit(folder, Disk(), manifest._replace(epoch=manifest.epoch + 1))
    assert read_current(folder).epoch == manifest.epoch + 1
    (folder / f"epoch-{manifest.epoch + 1:09d}.manifest").write_bytes(
        (folder / f"epoch-{manifest.epoch:09d}.manifest").read_bytes()
    )
    with pytest.raises(CorruptIndex, match="checksums differ"):
        read_current(folder)
