"""Colour histograms of a garment in HSV, in 64 bins, weighted towards the middle of its region.

Bins: 18 hues 20 degrees apart (the first at 0: red), each pale (saturation < 0.5), vivid, or dark (value < 0.5); then 10
greys by value for what has no hue (saturation < 0.12 or value < 0.12). A pixel counts in the two nearest hues, or greys.

Shapes in this module:
    H, W  height and width of the region      N  items
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from recognition.images import Pixels

N_HUES = 18
N_GREYS = 10
N_BINS = 3 * N_HUES + N_GREYS
TOTAL = 255  # a histogram's bins add up to this, exactly: distances are integers
SIDE = 64  # pixels of the region's longer side that are counted

Histogram = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


def histogram(region: Pixels) -> Histogram:
    """Return the colour histogram of a (H, W, 3) region; (64,) uint8 adding up to 255.

    A garment rarely fills the corners of its box: pixels are weighted by an ellipse that fades towards the border.
    """
    image = Image.fromarray(region)
    image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    hsv = np.asarray(image.convert("HSV"), np.float32)
    weights = _ellipse(*hsv.shape[:2])
    lower, upper, share = _bins(hsv)
    counts = np.bincount(lower.ravel(), (weights * (1 - share)).ravel(), N_BINS)
    counts = counts + np.bincount(upper.ravel(), (weights * share).ravel(), N_BINS)
    return _to_integers(counts.astype(np.float64))


def distance(histograms: Histogram, query: Histogram) -> npt.NDArray[np.int64]:
    """Half the L1 distance, 0 to 255: (N, 64) and (64,) to (N,)."""
    return np.asarray(np.abs(histograms.astype(np.int16) - query.astype(np.int16)).sum(1, dtype=np.int64) // 2)


def _bins(hsv: npt.NDArray[np.float32]) -> tuple[Integers, Integers, npt.NDArray[np.float32]]:
    """The two nearest bins of every pixel, and the share of the second: a colour between two bins counts in both."""
    hue, saturation, value = hsv[..., 0] * (N_HUES / 256), hsv[..., 1] / 255, hsv[..., 2] / 255
    kind = np.where(value < 0.5, 2, np.where(saturation < 0.5, 0, 1))
    sector = np.floor(hue).astype(np.int64)
    step = value * (N_GREYS - 1)
    grey = np.minimum(np.floor(step).astype(np.int64), N_GREYS - 2)
    is_grey = (saturation < 0.12) | (value < 0.12)
    lower = np.where(is_grey, 3 * N_HUES + grey, sector % N_HUES * 3 + kind)
    upper = np.where(is_grey, 3 * N_HUES + grey + 1, (sector + 1) % N_HUES * 3 + kind)
    return lower, upper, np.where(is_grey, step - grey, hue - sector)


def _ellipse(height: int, width: int) -> npt.NDArray[np.float64]:
    y = (np.arange(height) + 0.5) / height * 2 - 1
    x = (np.arange(width) + 0.5) / width * 2 - 1
    return np.asarray(np.exp(-1.5 * (y[:, None] ** 2 + x[None] ** 2)))


def _to_integers(counts: npt.NDArray[np.float64]) -> Histogram:
    """Round so that the sum is exact: largest remainders are rounded up."""
    exact = counts / counts.sum() * TOTAL
    whole = np.floor(exact)
    missing = TOTAL - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:missing]] += 1
    return np.asarray(whole.astype(np.uint8))
