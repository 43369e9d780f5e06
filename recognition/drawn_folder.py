"""Write a data folder of drawn garments, in the form that training and evaluation read.

python -m recognition.drawn_folder DIR --garments 400 --scenes 100
"""

import argparse
import csv
from pathlib import Path

from PIL import Image

from attributes.labels import LabeledBox, Labels
from attributes.report import positive, progress
from attributes.vocabulary import Vocabulary, load_vocabulary
from recognition.drawing import KINDS, draw_garment, draw_scene


def write_drawn_folder(
    folder: Path, vocabulary: Vocabulary, n_garments: int, n_scenes: int, seed: int = 0, side: int = 160
) -> None:
    """Draw garments, all categories in turn, and street scenes; every fifth of each is of split val."""
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    names = list(KINDS)
    items = []
    for i in progress(range(n_garments), n_garments, "garments"):
        drawing = draw_garment(vocabulary, seed + i, names[i % len(names)], side)
        photo = f"photos/g{i:05d}.jpg"
        Image.fromarray(drawing.pixels).save(folder / photo, quality=90)
        items.append(_item_row(vocabulary, i, photo, drawing.labels, drawing.title))
    boxes = []
    for i in progress(range(n_scenes), n_scenes, "scenes"):
        pixels, marked = draw_scene(vocabulary, seed + 1_000_000 + i)
        photo = f"photos/s{i:05d}.jpg"
        Image.fromarray(pixels).save(folder / photo, quality=90)
        boxes += [_box_row(photo, i, one) for one in marked]
    _write(folder / "items.csv", items)
    _write(folder / "boxes.csv", boxes)


def _split(i: int, period: int) -> str:
    return "val" if (i // period) % 5 == 4 else "train"


def _item_row(vocabulary: Vocabulary, i: int, photo: str, labels: Labels, title: str) -> dict[str, str]:
    row = {"id": f"G{i:05d}", "split": _split(i, len(KINDS)), "photo": photo, "group": f"g{i}"}
    row |= dict.fromkeys(("x0", "y0", "x1", "y1"), "")
    row |= {"category": labels.category, **{g: " ".join(labels.values.get(g, ())) for g in vocabulary.groups}}
    return row | {"title": title}


def _box_row(photo: str, i: int, marked: LabeledBox) -> dict[str, str]:
    corners = dict(zip(("x0", "y0", "x1", "y1"), (f"{c:g}" for c in marked.box), strict=True))
    category = marked.category or ""
    return {"photo": photo, "split": _split(i, 1), "label": category, "category": category, "item": "", **corners}


def _write(file: Path, rows: list[dict[str, str]]) -> None:
    if not rows:
        return
    with file.open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--garments", type=positive, default=480)
    parser.add_argument("--scenes", type=positive, default=100)
    arguments = parser.parse_args()
    write_drawn_folder(arguments.folder, load_vocabulary(), arguments.garments, arguments.scenes)


if __name__ == "__main__":
    main()
