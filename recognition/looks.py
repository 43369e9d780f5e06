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


Encode = Callable[[Pixels, Floats], list[Look]]  # squares (N, S, S, 3) and places (N, N_PLACE) to what is seen of each


class Looks:
    """Looks at the regions of one photo, (H, W, 3)."""

    def __init__(self, photo: Pixels, side: int, mirror: bool, encode: Encode) -> None:
        self.photo = photo
        self._side, self._mirror, self._encode = side, mirror, encode
        self._squares: dict[Box | None, Pixels] = {}
        self._seen: dict[tuple[Box | None, bool], Look] = {}

    def once(self, boxes: Sequence[Box | None]) -> list[Look]:
        """One view of every region; None is the whole photo."""
        return self._views([(self._named(box), False) for box in boxes])

    def best(self, box: Box | None = None) -> Look:
        """A region as it is read: the mean of its view and its mirror image's where the model is better with both."""
        views = self._views(
            [(self._named(box), mirrored) for mirrored in ((False, True) if self._mirror else (False,))]
        )
        return Look(*(np.mean(parts, 0) for parts in zip(*views, strict=True)))

    def _named(self, box: Box | None) -> Box | None:
        return None if box == full_box(self.photo) else box

    def _views(self, wanted: list[tuple[Box | None, bool]]) -> list[Look]:
        missing = [view for view in dict.fromkeys(wanted) if view not in self._seen]
        if missing:
            squares = np.stack([self._square(box)[:, :: -1 if mirrored else 1] for box, mirrored in missing])
            places = np.stack([place(box, *self.photo.shape[:2]) for box, _ in missing])
            self._seen.update(zip(missing, self._encode(squares, places), strict=True))
        return [self._seen[view] for view in wanted]

    def _square(self, box: Box | None) -> Pixels:
        if box not in self._squares:
            self._squares[box] = square(crop(self.photo, box), self._side)
        return self._squares[box]
