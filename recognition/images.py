"""The only place where files become pixels: formats, limits, the EXIF turn, and crops squared for an encoder.

Shapes in this module:
    H, W  height and width in pixels of the turned photo
    S     side of a squared crop
"""

import io
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pillow_heif
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from attributes.labels import Box

pillow_heif.register_heif_opener()

Pixels = npt.NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "TIFF")
CONTEXT = 0.05  # of a box's longer side is added around it (docs/evaluations.md)
GREY = 127  # fills a squared crop; the middle of the range, 0 after normalizing
N_PLACE = 5  # numbers of a place


class BadImage(ValueError):
    """A file that is no photo, or one that is larger than the limits."""


class Limits(NamedTuple):
    """How large a file from outside may be."""

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 50_000_000


def open_photo(source: bytes | Path, limits: Limits | None = None) -> Pixels:
    """Decode a photo to RGB, turned as its EXIF says.  Returns (H, W, 3) uint8.

    The first frame of an animation is taken; transparency is laid on white; CMYK, palette, grey and 16-bit photos are
    converted. Raises BadImage for everything that is not a whole photo within the limits (a Path is read without a
    limit on bytes), and for a missing file.
    """
    limits = limits or Limits()
    if isinstance(source, Path):
        try:
            source = source.read_bytes()
        except OSError as wrong:
            raise BadImage(f"cannot read the photo: {wrong.strerror} ({wrong.filename})") from wrong
    elif len(source) > limits.max_bytes:
        raise BadImage(f"the file has {len(source) / 2**20:.1f} MB; at most {limits.max_bytes / 2**20:.0f} are taken")
    if not source:
        raise BadImage("the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is checked below
            with Image.open(io.BytesIO(source), formats=FORMATS) as image:
                _check_size(image, limits)
                return np.asarray(_to_rgb(image))
    except UnidentifiedImageError as wrong:
        raise BadImage("this is not a photo we can read (JPEG, PNG, WebP, AVIF or HEIC)") from wrong
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError, MemoryError) as wrong:
        if isinstance(wrong, BadImage):
            raise
        raise BadImage(f"the photo is damaged: {wrong}") from wrong
    except Image.DecompressionBombError as wrong:
        raise BadImage(f"the photo has more than {limits.max_pixels / 1e6:.0f} megapixels") from wrong


def _check_size(image: Image.Image, limits: Limits) -> None:
    width, height = image.size
    if width * height > limits.max_pixels:
        raise BadImage(
            f"the photo is {width} x {height}, more than the {limits.max_pixels / 1e6:.0f} megapixels that are taken"
        )
    if min(width, height) < 8:
        raise BadImage(f"the photo is {width} x {height}; the smallest side must have 8 pixels")


def _to_rgb(image: Image.Image) -> Image.Image:
    turned = ImageOps.exif_transpose(image)
    if turned.mode.startswith(("I", "F")):  # 16 bits and more: Pillow would clip instead of scale
        deep = np.asarray(turned, dtype=np.float64)
        top = 65535.0 if deep.max(initial=0) > 255 else 255.0
        return Image.fromarray((np.clip(deep / top, 0, 1) * 255).astype(np.uint8)).convert("RGB")
    if turned.mode in ("RGBA", "LA", "PA") or "transparency" in turned.info:
        clear = turned.convert("RGBA")
        paper = Image.new("RGBA", clear.size, "white")
        return Image.alpha_composite(paper, clear).convert("RGB")
    return turned.convert("RGB")


def turned_size(file: Path) -> tuple[int, int]:
    """Height and width of a photo as `open_photo` would return it, from its header. Raises BadImage."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            turn = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (OSError, SyntaxError, ValueError) as wrong:
        raise BadImage(f"cannot read {file.name}: {wrong}") from wrong
    return (width, height) if turn in (5, 6, 7, 8) else (height, width)


def place(box: Box | None, height: int, width: int) -> npt.NDArray[np.float32]:
    """Where a garment is in its photo of `height` x `width` pixels; a mirror image has the same.  Returns (N_PLACE,).

    Whether there is a box, its top, its bottom and its width as shares, and the log of its height to its width.
    Without a box, or with one round the whole photo, all but the last are 0.
    """
    if box is None or box.area >= 0.99 * height * width:
        return np.array([0, 0, 0, 0, np.log(height / width)], np.float32)
    tall, wide = max(box.y1 - box.y0, 1.0), max(box.x1 - box.x0, 1.0)
    return np.array([1, box.y0 / height, box.y1 / height, wide / width, np.log(tall / wide)], np.float32)


def full_box(photo: Pixels) -> Box:
    """The box round a whole (H, W, 3) photo."""
    return Box(0, 0, photo.shape[1], photo.shape[0])


def crop(photo: Pixels, box: Box | None, context: float = CONTEXT) -> Pixels:
    """Cut `box`, widened by `context` of its longer side and clipped to the photo; the whole photo without a box.

    photo: (H, W, 3).  Returns a view of at least one pixel.
    """
    if box is None:
        return photo
    height, width = photo.shape[:2]
    margin = context * max(box.x1 - box.x0, box.y1 - box.y0)
    x0, y0 = int(max(0.0, box.x0 - margin)), int(max(0.0, box.y0 - margin))
    x1, y1 = int(min(float(width), box.x1 + margin)), int(min(float(height), box.y1 + margin))
    x0, y0 = min(x0, width - 1), min(y0, height - 1)
    return photo[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]


def square(pixels: Pixels, side: int) -> Pixels:
    """Fit the whole crop into a square and fill the rest with grey: a centre crop would cut hems and collars.

    pixels: (H, W, 3).  Returns (S, S, 3) uint8.
    """
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    canvas = np.full((side, side, 3), GREY, np.uint8)
    top, left = (side - size[1]) // 2, (side - size[0]) // 2
    canvas[top : top + size[1], left : left + size[0]] = np.asarray(small)
    return canvas


def normalize(pixels: Pixels) -> npt.NDArray[np.float32]:
    """(..., S, S, 3) uint8 to (..., 3, S, S) float32 in [-1, 1]: mean and deviation 0.5, as the encoders expect."""
    return np.ascontiguousarray(np.moveaxis(pixels, -1, -3).astype(np.float32) / 127.5 - 1.0)
