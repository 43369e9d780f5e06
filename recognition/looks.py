"""What the encoder sees of one photo's regions: each is encoded once, several together.

Shapes in this module:
    H, W  height and width of the photo      R  regions
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attributes.labels import Box
from recognition.images import Pixels, crop, full_box, place, square

Floats = npt.NDArray[np.float32]


class Look(NamedTuple):
    """What the encoder saw of one crop. pooled: (C,); middle: (M,); read: (R,), for the speller; heads: (L,) logits."""

    pooled: Floats
    middle: Floats
    read: Floats
    heads: Floats


def mean_look(looks: Sequence[Look]) -> Look:
    """The mean of several views of one garment."""
    return Look(*(np.mean(parts, 0) for parts in zip(*looks, strict=True)))


Encode = Callable[[Pixels, Floats], list[Look]]  # squares (N, S, S, 3) and places (N, N_PLACE) to what is seen of each


class View(NamedTuple):
    """One way to look at a region: None is the whole photo."""

    box: Box | None
    side: int
    mirrored: bool = False


class Looks:
    """Looks at the regions of one photo, (H, W, 3): glances at small crops, and looks at what is to be read."""

    def __init__(self, photo: Pixels, sides: tuple[int, int], mirror: bool, encode: Encode) -> None:
        self.photo = photo
        self._small, self._side = sides
        self._mirror, self._encode = mirror, encode
        self._seen: dict[View, Look] = {}

    def glances(self, boxes: Sequence[Box | None]) -> list[Look]:
        """One small view of every region, for a first opinion of many."""
        return self._views([View(self._named(box), self._small) for box in boxes])

    def best(self, box: Box | None = None) -> Look:
        """A region as it is read: the mean of its view and its mirror image's where the model is better with both."""
        ways = (False, True) if self._mirror else (False,)
        views = self._views([View(self._named(box), self._side, mirrored) for mirrored in ways])
        return mean_look(views)

    def _named(self, box: Box | None) -> Box | None:
        return None if box == full_box(self.photo) else box

    def _views(self, wanted: list[View]) -> list[Look]:
        missing = [view for view in dict.fromkeys(wanted) if view not in self._seen]
        if missing:
            squares = {key: square(crop(self.photo, key[0]), key[1]) for key in {(v.box, v.side) for v in missing}}
            pixels = np.stack([squares[v.box, v.side][:, :: -1 if v.mirrored else 1] for v in missing])
            places = np.stack([place(v.box, *self.photo.shape[:2]) for v in missing])
            self._seen.update(zip(missing, self._encode(pixels, places), strict=True))
        return [self._seen[view] for view in wanted]
