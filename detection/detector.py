"""What everyone else uses: the garments in a photo, found by an exported model. No torch.

Shapes in this module:
    H, W  height and width of the photo      D  detections
"""

from pathlib import Path

import numpy as np
from PIL import Image

from attributes.labels import Box
from attributes.vocabulary import Vocabulary, load_vocabulary
from detection.guidance import Found, rejected_unless
from detection.second_opinion import second_opinion
from recognition.cards import Card, read_card
from recognition.images import Pixels
from recognition.looks import Looks
from recognition.recognizer import Recognizer
from recognition.runtime import Runtime

WEIGHTS = Path(__file__).with_name("weights")
SERVED = "faster_rcnn"


class Detector:
    """Finds garments of all categories at once; with a recognizer, the two agree on what each is."""

    def __init__(
        self, vocabulary: Vocabulary, card: Card, runtime: Runtime | None = None, recognizer: Recognizer | None = None
    ) -> None:
        card.check(vocabulary)
        card.check_files(".onnx")
        self.recognizer = recognizer
        self.card, self.vocabulary = card, vocabulary
        self.side = int(card.numbers["side"])
        self._network = (runtime or Runtime.named("auto")).open(card.file.with_suffix(".onnx"))

    @classmethod
    def load(
        cls,
        name: str = SERVED,
        vocabulary: Vocabulary | None = None,
        runtime: Runtime | None = None,
        folder: Path = WEIGHTS,
        recognizer: Recognizer | None = None,
    ) -> "Detector":
        """Open the exported detector called `name`. Raises WeightsMismatch, saying what differs."""
        return cls(vocabulary or load_vocabulary(), read_card(folder / f"{name}.toml"), runtime, recognizer)  # fmt: skip

    def find(self, photo: Pixels, guide: str | None = None, looks: Looks | None = None) -> list[Found]:
        """Return the garments in `photo`, best first; of class `guide` only where one is given.

        photo: (H, W, 3). Boxes are in its pixels. looks: at the same photo, to be used by others too. Raises
        UnknownAttribute for a bad guide.
        """
        if guide is not None:
            self.vocabulary.check_category(guide)
        height, width = photo.shape[:2]
        scale = self.side / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        small = Image.fromarray(photo).resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        pixels = np.ascontiguousarray(np.asarray(small, np.float32).transpose(2, 0, 1) / 255)
        boxes, classes, scores = self._network.run({"photo": pixels})
        boxes = boxes * np.array([width / size[0], height / size[1]] * 2, np.float32)
        names = self.vocabulary.category_names
        found = [
            Found(names[int(c) - 1], float(s), Box(*(float(x) for x in box)))
            for box, c, s in zip(boxes, classes, scores, strict=True)
        ]
        found.sort(key=lambda f: -f.score)
        if self.recognizer is not None:
            found = second_opinion(self.recognizer, looks or self.recognizer.looks(photo), found)
        return rejected_unless(found, guide)
