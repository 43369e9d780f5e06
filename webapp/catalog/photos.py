"""Shoppers' photos: decoded, stripped of everything but pixels, kept for an hour, deleted."""

import io
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from PIL import Image

from recognition.images import Pixels, open_photo
from webapp.catalog.engine import limits
from webapp.catalog.models import ShopperPhoto

KEPT_SIDE = 1280  # pixels of the longer side


class PhotoExpired(LookupError):
    """A shopper's photo that is no longer kept."""


def keep(upload: bytes) -> ShopperPhoto:
    """Decode a photo and keep it without any metadata (no position, no camera). Raises BadImage."""
    pixels = open_photo(upload, limits())
    image = Image.fromarray(pixels)
    photo = ShopperPhoto(width=image.width, height=image.height)
    image.thumbnail((KEPT_SIDE, KEPT_SIDE), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    image.save(written, "JPEG", quality=90)
    file = _file(photo.id)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.with_suffix(".tmp").write_bytes(written.getvalue())
    file.with_suffix(".tmp").rename(file)
    photo.save(force_insert=True)
    return photo


def find(photo_id: UUID) -> ShopperPhoto:
    """A photo that is still kept. Raises PhotoExpired."""
    photo = ShopperPhoto.objects.filter(id=photo_id, expires__gt=timezone.now()).first()
    if photo is None or not _file(photo_id).is_file():
        raise PhotoExpired("this photo is no longer kept; please choose it again")
    return photo


def pixels(photo: ShopperPhoto) -> Pixels:
    """Decode a kept photo."""
    return open_photo(_file(photo.id))


def kept_share(photo: ShopperPhoto) -> float:
    """How much smaller the kept photo is than the one that was sent, 0 to 1."""
    return min(1.0, KEPT_SIDE / max(photo.width, photo.height))


def file_of(photo: ShopperPhoto) -> Path:
    """Where a kept photo lies."""
    return _file(photo.id)


def delete_expired() -> int:
    """Delete the photos whose time is over; returns how many."""
    gone = list(ShopperPhoto.objects.filter(expires__lte=timezone.now()).values_list("id", flat=True)[:500])
    for photo_id in gone:
        _file(photo_id).unlink(missing_ok=True)
    ShopperPhoto.objects.filter(id__in=gone).delete()
    return len(gone)


def _file(photo_id: UUID) -> Path:
    return Path(settings.QUERY_DIR) / f"{photo_id}.jpg"
