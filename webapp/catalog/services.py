"""Every rule of the catalogue: a view, an admin action, an endpoint and a command each call one function of this file.

A change and its outbox row are one transaction; the indexer brings it into search.
"""

import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import PurePath
from typing import NamedTuple
from uuid import uuid4

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.db import transaction
from PIL import Image

from attributes.vocabulary import UnknownAttribute
from recognition.images import Pixels, open_photo
from webapp.catalog import labels as labelling
from webapp.catalog.engine import limits, vocabulary
from webapp.catalog.models import Correction, OutboxEntry, Product, Source

Who = User | AbstractBaseUser | AnonymousUser | None
STORED_SIDE = 1280  # pixels of the longer side that a product's photo is kept at


class NewProduct(NamedTuple):
    """What an import or a program says of a product. labels: per group the values, [] for "none"."""

    sku: str
    title: str
    photo: bytes | None
    description: str = ""
    price: Decimal | None = None
    url: str = ""
    box: str = ""
    labels: dict[str, list[str]] | None = None


def enqueue(skus: Iterable[str]) -> None:
    """Note that products changed."""
    OutboxEntry.objects.bulk_create(OutboxEntry(sku=sku) for sku in skus)


def save_product(new: NewProduct) -> tuple[Product, bool]:
    """Add a product, or update the one with its sku; returns it and whether it is new.

    Raises BadImage, UnknownAttribute, ValidationError (naming the field); then nothing is changed.
    """
    words = vocabulary()
    for group, values in (new.labels or {}).items():
        labelling.check(words, group, values) if values else words.values(group)
    with transaction.atomic():
        product = Product.objects.filter(sku=new.sku).first() or Product(sku=new.sku)
        created = product.pk is None
        if created and new.photo is None:
            raise ValidationError({"photo": "A new product needs a photo."})
        product.title, product.description, product.price = new.title, new.description, new.price
        product.url = new.url
        scale = store_photo(product, new.photo) if new.photo is not None else 1.0
        box = _scaled(new.box, scale)
        if box != product.given_box:
            product.given_box = box
            forget_seen(product)
        product.full_clean()
        _check_region(product)
        product.save()
        labelling.say(product, Source.IMPORTED, new.labels or {})
        enqueue([product.sku])
    return product, created


def store_photo(product: Product, photo: bytes) -> float:
    """Decode a photo and keep it as a clean JPEG: turned upright, without metadata, at most STORED_SIDE pixels.

    Returns how much it was shrunk, 0 to 1: a region given in the photo's own pixels shrinks with it.
    """
    pixels = open_photo(photo, limits())
    scale: float = min(1.0, STORED_SIDE / max(pixels.shape[:2]))
    name = f"{PurePath(product.sku).name}-{uuid4().hex[:8]}.jpg"
    product.photo.save(name, ContentFile(_jpeg(pixels, scale)), save=False)
    forget_seen(product)
    return scale


def _scaled(box: str, scale: float) -> str:
    try:
        return ",".join(f"{float(c) * scale:g}" for c in box.split(",")) if box and scale < 1 else box
    except ValueError:
        return box  # not numbers: the field's own check says so


def forget_seen(product: Product) -> None:
    """Let the indexer look at the photo again."""
    product.seen_box = product.seen_with = ""


def _jpeg(pixels: Pixels, scale: float) -> bytes:
    image = Image.fromarray(pixels)
    if scale < 1:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image = image.resize(size, Image.Resampling.LANCZOS)
    written = io.BytesIO()
    image.save(written, "JPEG", quality=88, optimize=True)
    return written.getvalue()


def _check_region(product: Product) -> None:
    box = product.region if product.given_box else None
    if box is not None and not (box.x0 < box.x1 <= product.photo.width and box.y0 < box.y1 <= product.photo.height):
        raise ValidationError(
            {"given_box": f"The region {product.given_box} does not lie in the photo "
                          f"({product.photo.width} x {product.photo.height})."}
        )  # fmt: skip


def correct(product: Product, group: str, values: Sequence[str] | None, who: Who) -> Correction:
    """Let the merchandiser say what holds in a group: values, [] for "none", None to let import and model speak again.

    Raises UnknownAttribute and ValueError for values that cannot be; then nothing is changed.
    """
    words = vocabulary()
    labelling.check(words, group, values) if values else words.values(group)
    if group == "category" and values == []:
        raise UnknownAttribute("a product has exactly one category")
    with transaction.atomic():
        before = labelling.said_by(product, Source.MERCHANDISER, group)
        after = None if values is None else list(values)
        labelling.say(product, Source.MERCHANDISER, {group: after})
        correction = Correction.objects.create(
            product=product, group=group, before=before, after=after, who=who if isinstance(who, User) else None
        )
        enqueue([product.sku])
    return correction


def undo(correction: Correction, who: Who) -> Correction:
    """Bring back what the merchandiser had said before a correction; the undoing is a correction of its own."""
    with transaction.atomic():
        correction.undone = True
        correction.save(update_fields=["undone"])
        return correct(correction.product, correction.group, correction.before, who)


def publish(products: Iterable[Product], published: bool) -> int:
    """Show products to shoppers, or withdraw them; returns how many changed."""
    changed = [p for p in products if p.published != published]
    with transaction.atomic():
        for product in changed:
            product.published = published
            product.save()
        enqueue(p.sku for p in changed)
    return len(changed)


def delete(products: Iterable[Product]) -> int:
    """Delete products for good; returns how many."""
    gone = list(products)
    with transaction.atomic():
        for product in gone:
            product.delete()
        enqueue(p.sku for p in gone)
    return len(gone)
