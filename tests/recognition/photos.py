"""Photos in every shape that people send, and files that are none."""

import io

import numpy as np
from PIL import Image


def picture(width: int = 60, height: int = 40) -> Image.Image:
    """Red on the left, blue on the right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 230
    pixels[:, width // 2 :, 2] = 230
    return Image.fromarray(pixels)


def as_bytes(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode an image."""
    written = io.BytesIO()
    image.save(written, kind, **options)
    return written.getvalue()


def turned_by_exif(image: Image.Image, orientation: int) -> bytes:
    """A JPEG whose EXIF says how to turn it, with a position in it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 0.0)}
    return as_bytes(image, "JPEG", exif=exif.tobytes(), quality=95)
