"""Garments as training batches: crops squared once and kept, turned and lit anew every time they are drawn.

Shapes in this module:
    N  garments    B  garments of a batch      S  side of what the encoder sees, K side of the kept square
    T  tokens      V  tokens of the vocabulary
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from attributes.labels import Garment
from attributes.report import progress
from attributes.sequence import END, Grammar, encode
from recognition.heads import HeadLayout
from recognition.images import GREY, BadImage, Limits, Pixels, crop, open_photo, place, square, turned_size
from recognition.model import Batch, Targets, channels_last
from recognition.titles import TitleWords

Crops = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Augmentation:
    """How much a training crop is changed."""

    turn_degrees: float = 15.0
    scale: tuple[float, float] = (0.85, 1.4)  # of the side: from smaller in its square to a crop of half the area
    shift: float = 0.08  # of the side
    stretch: float = 0.1  # of one side against the other
    light: float = 0.25  # brightness and contrast
    hidden_place: float = 0.15  # chance that the place of a box is not told
    erase: float = 0.35  # chance of a rectangle being covered
    erased_side: tuple[float, float] = (0.15, 0.4)


def held_out(garment: Garment) -> bool:
    """Whether a training garment is kept from training for calibration: 1 contributor or street photo in 25."""
    return crc32(garment.group.encode()) % 25 == 0


def squared_crops(garments: Sequence[Garment], side: int, cache: Path | None = None) -> tuple[Crops, list[int]]:
    """Decode and square every garment's crop.  Returns (N', K, K, 3) and the positions of the garments that could be read.

    With `cache` the crops are kept in a memory-mapped file for the next run. A photo that cannot be read is named on
    stderr and left out.
    """
    by_photo: dict[Path, list[int]] = {}
    for i, garment in enumerate(garments):
        by_photo.setdefault(garment.photo, []).append(i)
    key = crc32(repr([(g.id, str(g.photo), g.box) for g in garments] + [side]).encode())
    kept = cache / f"crops-{side}-{key:08x}.npy" if cache else None
    if kept is not None and kept.is_file():
        return np.load(kept, mmap_mode="r"), list(range(len(garments)))
    crops = np.zeros((len(garments), side, side, 3), np.uint8)
    jobs = [(photo, [garments[i].box for i in at], side) for photo, at in by_photo.items()]
    bad: set[int] = set()
    with ProcessPoolExecutor() as pool:
        done = pool.map(_squares_of, jobs, chunksize=16)
        for at, squares in zip(by_photo.values(), progress(done, len(jobs), "crops"), strict=True):
            bad.update(at if squares is None else ())
            for i, pixels in zip(at, squares or (), strict=False):
                crops[i] = pixels
    if kept is not None and not bad:
        kept.parent.mkdir(parents=True, exist_ok=True)
        aside = kept.with_suffix(f".{os.getpid()}.tmp.npy")  # others may be at it too
        np.save(aside, crops)
        aside.rename(kept)
    readable = [i for i in range(len(garments)) if i not in bad]
    return (crops[readable] if bad else crops), readable


def _squares_of(job: tuple[Path, list, int]) -> list[Pixels] | None:  # type: ignore[type-arg]
    photo, boxes, side = job
    try:
        pixels = open_photo(photo, Limits())
    except BadImage as wrong:
        print(f"left out {photo.name}: {wrong}", flush=True)
        return None
    return [square(crop(pixels, box), side) for box in boxes]


def changed(pixels: Pixels, side: int, amount: Augmentation, random: np.random.Generator) -> Pixels:
    """Turn, scale, stretch, shift and mirror a (K, K, 3) square in one resampling.  Returns (S, S, 3)."""
    k = pixels.shape[0]
    angle = np.deg2rad(random.uniform(-amount.turn_degrees, amount.turn_degrees))
    scale = k / side / random.uniform(*amount.scale)
    stretch = 1 + random.uniform(-amount.stretch, amount.stretch)
    mirror = -1.0 if random.random() < 0.5 else 1.0
    a, b = scale * stretch * mirror * np.cos(angle), scale * np.sin(angle)
    d, e = -scale * stretch * mirror * np.sin(angle), scale * np.cos(angle)
    middle = k / 2 + random.uniform(-amount.shift, amount.shift, 2) * k
    half = side / 2
    matrix = (a, b, middle[0] - a * half - b * half, d, e, middle[1] - d * half - e * half)
    turned = Image.fromarray(pixels).transform(
        (side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=(GREY, GREY, GREY)
    )
    out = np.array(turned)
    if random.random() < amount.erase:
        h, w = (int(side * random.uniform(*amount.erased_side)) for _ in range(2))
        y, x = int(random.integers(0, side - h)), int(random.integers(0, side - w))
        out[y : y + h, x : x + w] = GREY
    return out


def lit(photos: Tensor, light: Tensor, contrast: Tensor) -> Tensor:
    """Change brightness and contrast of (B, 3, S, S) in [-1, 1] by (B,) of each; hues stay."""
    return (photos * (1 + contrast[:, None, None, None]) + light[:, None, None, None]).clamp(-1, 1)


def places_of(garments: Sequence[Garment]) -> npt.NDArray[np.float32]:
    """Where every garment is in its photo, (N, N_PLACE). Raises BadImage for a photo without a readable header."""
    sizes: dict[Path, tuple[int, int]] = {}
    for garment in garments:
        if garment.photo not in sizes:
            sizes[garment.photo] = turned_size(garment.photo)
    return np.stack([place(g.box, *sizes[g.photo]) for g in garments])


class Batches:
    """All garments of a split in batches; shuffled and changed for training, in order and whole for evaluation."""

    def __init__(
        self, crops: Crops, garments: Sequence[Garment], grammar: Grammar, words: TitleWords | None = None
    ) -> None:
        self.words = words or TitleWords()
        self.crops, self.grammar, self.ids = crops, grammar, [g.id for g in garments]
        self.places = places_of(garments)
        self.sequences = [encode(grammar, g.labels) for g in garments]
        self._allowed = [self._masks(sequence) for sequence in self.sequences]
        layout = HeadLayout(grammar.vocabulary)
        self._named = torch.from_numpy(self.words.named([g.title for g in garments]))
        self.heads = torch.from_numpy(np.stack([layout.targets(g.labels) for g in garments]))

    def __len__(self) -> int:
        return len(self.sequences)

    def targets(self, at: Sequence[int]) -> Targets:
        """The targets of the garments at these positions, padded to the longest of them."""
        sequences = [self.sequences[i] for i in at]
        longest = max(map(len, sequences))
        tokens = torch.full((len(at), longest), END)
        allowed = torch.zeros(len(at), longest - 1, self.grammar.n_tokens, dtype=torch.bool)
        counted = torch.zeros(len(at), longest - 1)
        allowed[:, :, END] = True
        for i, (j, sequence) in enumerate(zip(at, sequences, strict=True)):
            tokens[i, : len(sequence)] = torch.tensor(sequence)
            counted[i, : len(sequence) - 1] = 1
            allowed[i, : len(sequence) - 1] = torch.from_numpy(
                np.unpackbits(self._allowed[j], 1, self.grammar.n_tokens)
            ).bool()
        return Targets(tokens, allowed, counted, self.heads[list(at)], self._named[list(at)].float())

    def _masks(self, sequence: Sequence[int]) -> npt.NDArray[np.uint8]:
        """Which tokens the grammar allows at every step, (T-1, V) in packed bits: asked anew every epoch it takes long."""
        masks = np.zeros((len(sequence) - 1, self.grammar.n_tokens), np.bool_)
        for t in range(1, len(sequence)):
            masks[t - 1, self.grammar.allowed(sequence[:t])] = True
        return np.packbits(masks, 1)

    def order(self, size: int, seed: int) -> list[list[int]]:
        """The positions of every batch of an epoch in the order that `seed` gives; a last incomplete batch is dropped."""
        order = np.random.default_rng(seed).permutation(len(self)).tolist()
        size = min(size, len(self))
        return [order[start : start + size] for start in range(0, len(self) - size + 1, size)]

    def training(self, at: Sequence[int], side: int, amount: Augmentation, seed: int) -> Batch:
        """The garments at these positions, each changed as `seed` and its own position say, whoever else is with it."""
        places, lights = self.places[list(at)], []
        randoms = [np.random.default_rng((seed, i)) for i in at]
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # what changes pixels leaves the interpreter free
            pixels = list(
                pool.map(lambda i, random: changed(np.asarray(self.crops[i]), side, amount, random), at, randoms)
            )
        for where, random in zip(places, randoms, strict=True):
            lights.append(random.uniform(-amount.light, amount.light, 2))
            if random.random() < amount.hidden_place:
                where[:-1] = 0
        light = torch.tensor(np.array(lights), dtype=torch.float32)
        photos = lit(_tensor(np.stack(pixels)), light[:, 0], light[:, 1])
        return Batch(channels_last(photos), torch.from_numpy(places), self.targets(at))

    def evaluation(self, size: int, side: int) -> Iterator[Batch]:
        """Every garment once, in order, unchanged."""
        for start in range(0, len(self), size):
            at = range(start, min(start + size, len(self)))
            pixels = np.stack([square(np.asarray(self.crops[i]), side) for i in at])
            yield Batch(channels_last(_tensor(pixels)), torch.from_numpy(self.places[list(at)]), self.targets(at))


def _tensor(pixels: Crops) -> Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
