"""The shop's own labels as a data folder that the recognizer is trained on."""

import csv
import os
import shutil
from pathlib import Path
from zlib import crc32

from django.db.models import Exists, OuterRef

from attributes.labels import BadDataFolder
from attributes.vocabulary import Vocabulary
from webapp.catalog.labels import effective
from webapp.catalog.models import Label, Product, Source

HELD_OUT = 5  # one product in so many is of split val, by its sku, so that it is the same one next year


def write_data_folder(folder: Path, vocabulary: Vocabulary) -> dict[str, int]:
    """Write items.csv and photos/ with every product of which a person has said a label; returns how many of each split.

    The folder appears when it is whole. Raises BadDataFolder when it is there already, or when nothing can be written.
    """
    if folder.exists():
        raise BadDataFolder(f"{folder} is there already")
    said = Label.objects.filter(product=OuterRef("pk")).exclude(source=Source.MODEL)
    products = Product.objects.filter(Exists(said)).exclude(seen_with="").with_labels().order_by("pk")
    rows = {p.photo.path: row for p in products.iterator(chunk_size=500) if (row := _row(p, vocabulary)) is not None}
    counts = {split: sum(row["split"] == split for row in rows.values()) for split in ("train", "val")}
    if not all(counts.values()):
        raise BadDataFolder(
            f"{sum(counts.values())} products have a category and labels that a person said; too few to train on and "
            "to judge by"
        )
    aside = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    try:
        (aside / "photos").mkdir(parents=True)
        for photo, row in rows.items():
            shutil.copyfile(photo, aside / row["photo"])
        with (aside / "items.csv").open("w", newline="", encoding="utf-8") as opened:
            writer = csv.DictWriter(opened, list(next(iter(rows.values()))))
            writer.writeheader()
            writer.writerows(rows.values())
        aside.rename(folder)
    except OSError as wrong:
        raise BadDataFolder(f"the folder could not be written: {wrong}") from wrong
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return counts


def _row(product: Product, vocabulary: Vocabulary) -> dict[str, str] | None:
    held: dict[str, list[str]] = {}
    for label in effective(product.labels.all(), vocabulary):
        held.setdefault(label.group, []).append(label.value)
    if "category" not in held:
        return None
    box = (product.given_box or product.seen_box).split(",") if product.region else [""] * 4
    return {
        "id": product.sku,
        "split": "val" if crc32(product.sku.encode()) % HELD_OUT == 0 else "train",
        "photo": f"photos/{product.pk}{Path(product.photo.name or '').suffix}",
        "group": product.sku,
        **dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)),
        **{group: " ".join(held.get(group, ())) for group in ("category", *vocabulary.groups)},
        "title": product.title,
    }
