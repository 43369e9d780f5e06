"""The records of labelled garments, and the data folders (items.csv, boxes.csv, photos/) they are read from."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from attributes.vocabulary import UnknownAttribute, Vocabulary


class BadDataFolder(ValueError):
    """A data folder that lacks a file, a column or a split, or has a row that cannot be read."""


class Box(NamedTuple):
    """A rectangle in pixels of the EXIF-turned photo: x0 <= x < x1, y0 <= y < y1."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def area(self) -> float:
        """Square pixels; 0 when empty."""
        return max(0.0, self.x1 - self.x0) * max(0.0, self.y1 - self.y0)

    def iou(self, other: "Box") -> float:
        """Intersection over union, 0 to 1."""
        shared = Box(
            max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1)
        ).area
        union = self.area + other.area - shared
        return shared / union if union > 0 else 0.0

    def text(self, digits: int = 1) -> str:
        """x0,y0,x1,y1 as people and addresses write it, rounded to `digits` after the point."""
        return ",".join(f"{c:.{digits}f}" for c in self)


@dataclass(frozen=True)
class Labels:
    """What is said of one garment: a category and, per group, its values in vocabulary order."""

    category: str
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def pairs(self) -> list[tuple[str, str]]:
        """All labels as (group, value), the category first."""
        return [("category", self.category)] + [(g, v) for g, vs in self.values.items() for v in vs]


@dataclass(frozen=True)
class Garment:
    """One row of items.csv: a garment in a photo, with its labels."""

    id: str
    split: str
    photo: Path
    group: str
    box: Box | None
    labels: Labels
    title: str


@dataclass(frozen=True)
class LabeledBox:
    """One garment box of a street photo; `category` is None for a box to be ignored."""

    box: Box
    category: str | None


@dataclass(frozen=True)
class LabeledPhoto:
    """A street photo with all the boxes marked in it."""

    photo: Path
    split: str
    boxes: tuple[LabeledBox, ...]


def canonical(vocabulary: Vocabulary, category: str, values: Mapping[str, list[str]]) -> Labels:
    """Put labels into vocabulary order. Raises UnknownAttribute for a word, or a group, that does not belong."""
    vocabulary.check_category(category)
    ordered: dict[str, tuple[str, ...]] = {}
    for group in vocabulary.groups.values():
        given = set(values.get(group.name, ()))
        for value in sorted(given):
            vocabulary.check_value(group.name, value)
        if given and not vocabulary.applies(group.name, category):
            raise UnknownAttribute(f"{group.name} does not apply to {category}")
        if len(given) > group.max:
            raise UnknownAttribute(f"{group.name} takes at most {group.max} values, not {len(given)}")
        if given:
            ordered[group.name] = tuple(v for v in group.values if v in given)
    return Labels(category, ordered)


def read_garments(folder: Path, vocabulary: Vocabulary, split: str | None = None) -> list[Garment]:
    """Read items.csv of a data folder, of one split or all. Raises BadDataFolder naming file and line."""
    garments = []
    for line, row in _rows(folder / "items.csv", ("id", "split", "photo", "category")):
        if split is not None and row["split"] != split:
            continue
        try:
            values = {g: row[g].split() for g in vocabulary.groups if row.get(g)}
            labels = canonical(vocabulary, row["category"], values)
            box = _box(row)
        except ValueError as wrong:
            raise BadDataFolder(f"{folder / 'items.csv'}, line {line}: {wrong}") from wrong
        garments.append(
            Garment(
                row["id"], row["split"], folder / row["photo"], row.get("group") or row["id"], box, labels,
                row.get("title") or "",
            )
        )  # fmt: skip
    if not garments:
        raise BadDataFolder(f"{folder / 'items.csv'} has no rows" + (f" of split {split!r}" if split else ""))
    return garments


def read_boxes(folder: Path, vocabulary: Vocabulary, split: str | None = None) -> list[LabeledPhoto]:
    """Read boxes.csv of a data folder, gathered by photo. Raises BadDataFolder naming file and line."""
    photos: dict[tuple[str, str], list[LabeledBox]] = {}
    for line, row in _rows(folder / "boxes.csv", ("photo", "split", "category", "x0")):
        if split is not None and row["split"] != split:
            continue
        try:
            category = vocabulary.check_category(row["category"]) if row["category"] else None
            box = _box(row)
            if box is None:
                raise ValueError("the box is empty")
        except ValueError as wrong:
            raise BadDataFolder(f"{folder / 'boxes.csv'}, line {line}: {wrong}") from wrong
        photos.setdefault((row["photo"], row["split"]), []).append(LabeledBox(box, category))
    if not photos:
        raise BadDataFolder(f"{folder / 'boxes.csv'} has no rows" + (f" of split {split!r}" if split else ""))
    return [LabeledPhoto(folder / photo, s, tuple(boxes)) for (photo, s), boxes in photos.items()]


def evenly(n_items: int, limit: int | None) -> list[int]:
    """The positions of `limit` evenly spaced items out of `n_items`; all of them without a limit."""
    if limit is None or limit >= n_items:
        return list(range(n_items))
    return [i * n_items // limit for i in range(limit)]


def _rows(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            reader = csv.DictReader(opened)
            missing = [c for c in columns if c not in (reader.fieldnames or ())]
            if missing:
                raise BadDataFolder(f"{file} lacks the column {missing[0]!r}")
            for row in reader:
                yield reader.line_num, row
    except FileNotFoundError as wrong:
        raise BadDataFolder(f"{file} is not there") from wrong
    except UnicodeDecodeError as wrong:
        raise BadDataFolder(f"{file} is not UTF-8 text: {wrong}") from wrong


def _box(row: dict[str, str]) -> Box | None:
    corners = [row.get(c) or "" for c in ("x0", "y0", "x1", "y1")]
    if not any(corners):
        return None
    box = Box(*(float(c) for c in corners))
    if not (0 <= box.x0 < box.x1 and 0 <= box.y0 < box.y1):
        raise ValueError(f"the box {','.join(corners)} is not a rectangle")
    return box
