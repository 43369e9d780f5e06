"""Data folders."""

from pathlib import Path

import pytest

from attributes.labels import BadDataFolder, Box, canonical, evenly, read_boxes, read_garments
from attributes.vocabulary import UnknownAttribute, Vocabulary

HEADER = "id,split,photo,group,x0,y0,x1,y1,category,colour,title\n"


def folder(tmp_path: Path, items: str) -> Path:
    (tmp_path / "items.csv").write_text(items)
    return tmp_path


def test_labels_are_put_into_vocabulary_order(vocabulary: Vocabulary, tmp_path: Path) -> None:
    rows = HEADER + "A,train,p.jpg,g,,,,,dress,red black,Red dress\n"
    (garment,) = read_garments(folder(tmp_path, rows), vocabulary)
    assert garment.labels.values == {"colour": ("black", "red")}
    assert garment.box is None


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("A,train,p.jpg,g,,,,,sock,red,x", "line 2.*sock"),
        ("A,train,p.jpg,g,,,,,dress,mauve,x", "line 2.*mauve"),
        ("A,train,p.jpg,g,5,5,5,9,dress,red,x", "not a rectangle"),
        ("A,train,p.jpg,g,a,5,5,9,dress,red,x", "line 2"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(vocabulary: Vocabulary, tmp_path: Path, row: str, said: str) -> None:
    with pytest.raises(BadDataFolder, match=said):
        read_garments(folder(tmp_path, HEADER + row + "\n"), vocabulary)


def test_a_box_is_written_as_it_is_read() -> None:
    box = Box(1.25, 20, 300.04, 4e3)
    assert (box.text(), box.text(0)) == ("1.2,20.0,300.0,4000.0", "1,20,300,4000")
    assert Box(*(float(c) for c in box.text(2).split(","))) == box


def test_a_missing_file_column_or_split_is_said(vocabulary: Vocabulary, tmp_path: Path) -> None:
    with pytest.raises(BadDataFolder, match="is not there"):
        read_garments(tmp_path, vocabulary)
    with pytest.raises(BadDataFolder, match="lacks the column 'photo'"):
        read_garments(folder(tmp_path, "id,split,category\n"), vocabulary)
    with pytest.raises(BadDataFolder, match="no rows of split 'test'"):
        read_garments(folder(tmp_path, HEADER + "A,train,p.jpg,g,,,,,dress,red,x\n"), vocabulary, "test")


def test_a_box_without_a_category_is_kept_to_be_ignored(vocabulary: Vocabulary, tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("photo,split,label,category,item,x0,y0,x1,y1\na.jpg,val,suit,,,1,2,3,4\n")
    (photo,) = read_boxes(tmp_path, vocabulary)
    assert photo.boxes[0].category is None
    assert photo.boxes[0].box == Box(1, 2, 3, 4)


def test_too_many_values_and_groups_that_do_not_apply_are_refused(vocabulary: Vocabulary) -> None:
    with pytest.raises(UnknownAttribute, match="at most 3"):
        canonical(vocabulary, "dress", {"colour": ["red", "blue", "black", "white"]})
    with pytest.raises(UnknownAttribute, match="does not apply"):
        canonical(vocabulary, "scarf", {"neckline": ["v-neck"]})


def test_overlap_of_boxes() -> None:
    assert Box(0, 0, 2, 2).iou(Box(1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert Box(0, 0, 1, 1).iou(Box(5, 5, 6, 6)) == 0


def test_a_limit_takes_evenly_spaced_rows() -> None:
    assert evenly(10, 5) == [0, 2, 4, 6, 8]
    assert evenly(3, 9) == [0, 1, 2]
