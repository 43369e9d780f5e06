"""What is searched by: the appearance code and the colour histogram of one garment."""

from typing import NamedTuple

from attributes.labels import Box
from recognition.images import Pixels, crop
from recognition.looks import Look
from recognition.recognizer import Recognizer
from search.codes import CODES, Codes, code_space
from search.colour import Histogram, histogram


class Features(NamedTuple):
    """code: (W,) uint64; colour: (64,) uint8."""

    code: Codes
    colour: Histogram


class Extractor:
    """Turns what the encoder saw, and the pixels, into features."""

    def __init__(self, recognizer: Recognizer, codes: str = CODES[0]) -> None:
        self.space = code_space(recognizer.card, codes)
        # Features of different weights or codes cannot be compared; an index carries this name.
        weights = recognizer.card.text.get("fingerprint", recognizer.card.file.stem)
        self.name = f"{weights}/{codes}/hsv64"

    def features(self, photo: Pixels, box: Box | None, look: Look) -> Features:
        """The features of the garment in `box` (the whole photo if None), of which `look` was taken.

        photo: (H, W, 3). The colour is counted without the context round the box.
        """
        return Features(self.space.encode(look), histogram(crop(photo, box, context=0.0)))
