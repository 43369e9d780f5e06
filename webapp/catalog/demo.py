"""The demo catalogue: real garments of a data folder, else drawn ones."""

import io
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

from django.conf import settings
from PIL import Image

from attributes.labels import Garment, evenly, read_boxes, read_garments
from attributes.vocabulary import Vocabulary
from recognition.drawing import KINDS, draw_garment, draw_scene
from recognition.images import BadImage
from webapp.catalog.services import NewProduct, save_product

N_DRAWN = 720
N_EXAMPLES = 6
SEED = 7

# Rough prices per family of categories, so that the price filter has something to do.
PRICES = {"upper": 39, "full-body": 69, "lower": 49, "accessory": 45}

Progress = Callable[[int, int], None]


def stock(vocabulary: Vocabulary, data: Path | None, limit: int | None, progress: Progress) -> int:
    """Add demo products and example photos; returns how many products. Raises BadDataFolder."""
    products, total = _from_folder(vocabulary, data, limit) if data else _drawn(vocabulary, limit)
    n = 0
    for product in products:
        try:
            save_product(product)
            n += 1
        except BadImage:
            continue  # a photo of the folder that cannot be read is no reason to have no shop
        progress(n, total)
    _write_examples(vocabulary, data)
    return n


def _from_folder(vocabulary: Vocabulary, data: Path, limit: int | None) -> tuple[Iterator[NewProduct], int]:
    """Train rows only, so that photos of val stay unseen. The photo's labels are not told: the models read them."""
    garments = read_garments(data, vocabulary, "train")
    random.Random(SEED).shuffle(garments)
    chosen = [garments[i] for i in evenly(len(garments), limit)]
    return (_product(vocabulary, g) for g in chosen), len(chosen)


def _product(vocabulary: Vocabulary, garment: Garment) -> NewProduct:
    box = garment.box.text() if garment.box else ""
    price = _price(vocabulary, garment.labels.category, garment.id)
    return NewProduct(
        garment.id, garment.title, garment.photo.read_bytes(), price=price, box=box,
        labels={"category": [garment.labels.category]},
    )  # fmt: skip


def _drawn(vocabulary: Vocabulary, limit: int | None) -> tuple[Iterator[NewProduct], int]:
    n = min(limit or N_DRAWN, N_DRAWN)
    return (_drawn_product(vocabulary, i) for i in range(n)), n


def _drawn_product(vocabulary: Vocabulary, i: int) -> NewProduct:
    drawing = draw_garment(vocabulary, SEED + i, list(KINDS)[i % len(KINDS)], 400)
    labels = {group: list(values) for group, values in drawing.labels.values.items()}
    labels["category"] = [drawing.labels.category]
    sku = f"D{i:04d}"
    return NewProduct(
        sku, drawing.title, _jpeg(Image.fromarray(drawing.pixels)), labels=labels,
        price=_price(vocabulary, drawing.labels.category, sku),
    )  # fmt: skip


def _price(vocabulary: Vocabulary, category: str, sku: str) -> Decimal:
    middle = PRICES[vocabulary.categories[category].family]
    return Decimal(int(middle * random.Random(sku).lognormvariate(0, 0.5))) + Decimal("0.90")


def _write_examples(vocabulary: Vocabulary, data: Path | None) -> None:
    """A few photos to try with one tap."""
    folder = Path(settings.VAR) / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    if data is not None and (data / "boxes.csv").is_file():
        photos = read_boxes(data, vocabulary, "train")
        for i, at in enumerate(evenly(len(photos), N_EXAMPLES)):
            (folder / f"example-{i}.jpg").write_bytes(photos[at].photo.read_bytes())
        return
    for i in range(N_EXAMPLES):
        pixels, _ = draw_scene(vocabulary, 100 + i, 384, 576)
        (folder / f"example-{i}.jpg").write_bytes(_jpeg(Image.fromarray(pixels)))


def _jpeg(image: Image.Image) -> bytes:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=90)
    return written.getvalue()
