"""Street photos as training batches: decoded once, then mirrored, resized, cropped and lit anew every time.

Shapes in this module:
    H, W  height and width in pixels      G  garments marked in a photo
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from attributes.labels import LabeledPhoto
from attributes.report import progress
from attributes.vocabulary import Vocabulary
from recognition.images import BadImage, Pixels, open_photo

Boxes = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """One photo in memory. boxes: (G, 4) in its pixels; classes: (G,), category id + 1."""

    pixels: Pixels
    boxes: Boxes
    classes: npt.NDArray[np.int64]


@dataclass(frozen=True)
class SceneChanges:
    """How much a training photo is changed."""

    scale: tuple[float, float] = (0.75, 1.15)
    light: float = 0.25
    crop: float = 0.4  # chance of losing a part of the photo
    least_side: float = 0.6  # of a side that a crop keeps
    least_shown: float = 0.4  # share of a box that must stay in a crop, else it is forgotten


def resized(pixels: Pixels, side: int) -> Pixels:
    """Scale (H, W, 3) so that its longer side is `side`."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))


def _opened(job: tuple[Path, int]) -> tuple[Pixels, float] | None:
    try:
        pixels = open_photo(job[0])
    except BadImage as wrong:
        print(f"left out {job[0].name}: {wrong}", flush=True)
        return None
    small = resized(pixels, job[1])
    return small, small.shape[1] / pixels.shape[1]


def load_scenes(photos: Sequence[LabeledPhoto], vocabulary: Vocabulary, side: int) -> list[Scene]:
    """Decode photos, longest side `side`, with their boxes; boxes without a category and unreadable photos are left out."""
    names = vocabulary.category_names
    scenes = []
    with ProcessPoolExecutor() as pool:
        opened = pool.map(_opened, [(p.photo, side) for p in photos], chunksize=16)
        for photo, read in zip(photos, progress(opened, len(photos), "photos"), strict=False):
            if read is None:
                continue
            marked = [b for b in photo.boxes if b.category is not None]
            boxes = np.array([b.box for b in marked], np.float32).reshape(-1, 4) * read[1]
            classes = np.array([names.index(b.category or "") + 1 for b in marked], np.int64)
            scenes.append(Scene(read[0], boxes, classes))
    return scenes


def changed(scene: Scene, side: int, amount: SceneChanges, random: np.random.Generator) -> Scene:
    """Crop, mirror and resize a scene; its longest side becomes about `side`."""
    pixels, boxes, classes = scene.pixels, scene.boxes.copy(), scene.classes
    height, width = pixels.shape[:2]
    if random.random() < amount.crop:
        h, w = (int(n * random.uniform(amount.least_side, 1)) for n in (height, width))
        y, x = int(random.integers(0, height - h + 1)), int(random.integers(0, width - w + 1))
        inside = np.clip(boxes - np.array([x, y, x, y], np.float32), 0, np.array([w, h, w, h], np.float32))
        shown = _areas(inside) / np.maximum(_areas(boxes), 1)
        if (shown > amount.least_shown).any():
            pixels, boxes, classes = (
                pixels[y : y + h, x : x + w], inside[shown > amount.least_shown], classes[shown > amount.least_shown],
            )  # fmt: skip
    if random.random() < 0.5:
        pixels = pixels[:, ::-1]
        boxes = np.stack([pixels.shape[1] - boxes[:, 2], boxes[:, 1], pixels.shape[1] - boxes[:, 0], boxes[:, 3]], 1)
    small = resized(np.ascontiguousarray(pixels), int(side * random.uniform(*amount.scale)))
    return Scene(small, boxes * np.float32(small.shape[1] / pixels.shape[1]), classes)


def _areas(boxes: Boxes) -> npt.NDArray[np.float32]:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), np.float32)


def to_tensor(pixels: Pixels) -> Tensor:
    """(H, W, 3) uint8 to (3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float() / 255


Batch = tuple[list[Tensor], list[dict[str, Tensor]]]


def training_batches(scenes: Sequence[Scene], size: int, side: int, amount: SceneChanges, seed: int) -> Iterator[Batch]:
    """One epoch in batches as torchvision's detectors take them."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(scenes))
    for start in range(0, len(order) - min(size, len(order)) + 1, size):
        chosen = [changed(scenes[i], side, amount, random) for i in order[start : start + size]]
        light = random.uniform(-amount.light, amount.light, (len(chosen), 2))
        photos = [
            ((to_tensor(s.pixels) - 0.5) * (1 + contrast) + 0.5 + bright / 2).clamp(0, 1)
            for s, (contrast, bright) in zip(chosen, light, strict=True)
        ]
        targets = [{"boxes": torch.from_numpy(s.boxes), "labels": torch.from_numpy(s.classes)} for s in chosen]
        yield photos, targets
