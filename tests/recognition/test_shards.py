"""Data folders as shards."""

import tarfile
from pathlib import Path

import pytest

from attributes.labels import BadDataFolder, read_garments
from attributes.vocabulary import Vocabulary
from recognition.shards import unpacked, write_shards


def test_shards_hold_what_the_folder_held(drawn: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    n = write_shards(drawn, tmp_path / "shards", largest=200_000)
    assert len(list((tmp_path / "shards").glob("*.tar"))) > 1
    folder = unpacked(tmp_path / "shards", tmp_path / "cache")
    ours, theirs = ({g.id: g for g in read_garments(f, vocabulary)} for f in (folder, drawn))
    assert n == len({g.photo for g in theirs.values()})
    assert ours.keys() == theirs.keys()
    for key, garment in theirs.items():
        assert ours[key].labels == garment.labels
        assert ours[key].box == garment.box
        assert ours[key].photo.read_bytes() == garment.photo.read_bytes()


def test_shards_are_unpacked_once(drawn: Path, tmp_path: Path) -> None:
    write_shards(drawn, tmp_path / "shards")
    first = unpacked(tmp_path / "shards", tmp_path / "cache")
    (first / "mark").touch()
    assert unpacked(tmp_path / "shards", tmp_path / "cache") == first
    assert (first / "mark").is_file()


def test_a_data_folder_is_left_as_it_is(drawn: Path, tmp_path: Path) -> None:
    assert unpacked(drawn, tmp_path) == drawn


@pytest.mark.parametrize("content", [b"", b"no tar at all", "empty"])
def test_damaged_shards_are_refused_and_leave_nothing(content: bytes | str, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    if content == "empty":
        tarfile.open(tmp_path / "shards" / "0.tar", "w").close()
    else:
        assert isinstance(content, bytes)
        (tmp_path / "shards" / "0.tar").write_bytes(content)
    with pytest.raises(BadDataFolder, match="shard"):
        unpacked(tmp_path / "shards", tmp_path / "cache")
    assert not [f for f in (tmp_path / "cache").glob("*") if f.suffix == ""]


def test_a_sample_with_rows_that_are_no_rows_is_refused(drawn: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "a.json").write_text('["no", "object"]')
    with tarfile.open(tmp_path / "0.tar", "w") as shard:
        for name in ("a.jpg", "a.json"):
            shard.add(tmp_path / name, name)
    with pytest.raises(BadDataFolder, match="cannot be read"):
        unpacked(tmp_path / "0.tar", tmp_path / "cache")
