"""What everyone else uses: a photo, or a garment in it, read as words by an exported model. No torch.

Shapes in this module:
    H, W  a photo's height and width      S  side of the squared crop
    C  channels of the last map           M  channels of the middle map      L  logits of the heads
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as pybind

from attributes.labels import Box, Labels
from attributes.sequence import END, Grammar, decode
from attributes.vocabulary import Vocabulary, load_vocabulary
from recognition.calibration import Calibration, evidence
from recognition.cards import Card, WeightsMismatch, read_card
from recognition.decoding import Memory, Spelling, Words, beam_search, category_logp
from recognition.heads import Floats, HeadLayout
from recognition.images import Pixels, crop, normalize, square

WEIGHTS = Path(__file__).with_name("weights")
SERVED = "mobilenet"  # the model that is better on val (docs/models.md)


class Look(NamedTuple):
    """What the encoder saw of one crop. pooled: (C,); middle: (M,); heads: (L,) logits."""

    pooled: Floats
    middle: Floats
    heads: Floats


class ReadLabel(NamedTuple):
    """A label that was read, with the confidence (0 to 1) that it is right."""

    group: str
    value: str
    confidence: float


@dataclass(frozen=True)
class Reading:
    """What was read of a garment: its labels in canonical order, the category first, and the categories ranked."""

    labels: Labels
    read: tuple[ReadLabel, ...]
    categories: tuple[ReadLabel, ...]
    logp: float
    guided: bool

    @property
    def category(self) -> str:
        """The category read, or the guide."""
        return self.labels.category


class OnnxSpeller:
    """The exported LSTM step."""

    def __init__(self, file: Path, threads: int, n_hidden: int) -> None:
        self._session = open_session(file, threads)
        self.n_hidden = n_hidden

    def step(self, tokens: npt.NDArray[np.int64], pooled: Floats, memory: Memory) -> tuple[Floats, Memory]:
        """tokens: (N,); pooled: (N, C).  Returns logits (N, V) and the next memory."""
        logits, hidden, cell = self._session.run(
            None, {"tokens": tokens, "pooled": pooled, "hidden": memory.hidden, "cell": memory.cell}
        )
        return np.asarray(logits), Memory(np.asarray(hidden), np.asarray(cell))


def open_session(file: Path, threads: int) -> onnxruntime.InferenceSession:
    """Open an exported model on the processor. Raises WeightsMismatch for a missing or damaged file."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # several processes share the processor
    if not file.is_file():
        raise WeightsMismatch(f"no exported model {file.name}")
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except (pybind.Fail, pybind.InvalidProtobuf, pybind.InvalidGraph, pybind.InvalidArgument, RuntimeError) as wrong:
        raise WeightsMismatch(f"{file.name} is damaged: {wrong}") from wrong


class Recognizer:
    """Reads garments as words."""

    def __init__(self, vocabulary: Vocabulary, card: Card, threads: int = 2) -> None:
        card.check(vocabulary)
        self.card, self.vocabulary, self.grammar = card, vocabulary, Grammar(vocabulary)
        self.side = int(card.numbers["side"])
        self.beam = int(card.numbers.get("beam", 1))
        self.mirror = bool(card.numbers.get("mirror", 0))
        self.heads_weight = card.numbers.get("heads_weight", 0.0)
        self.layout = HeadLayout(vocabulary)
        self._encoder = open_session(card.file.with_suffix(".encoder.onnx"), threads)
        self.speller = OnnxSpeller(card.file.with_suffix(".decoder.onnx"), threads, int(card.numbers["n_hidden"]))
        self._calibrations = {
            guided: Calibration(card.lists[name]) if name in card.lists else Calibration()
            for guided, name in ((False, "calibration_free"), (True, "calibration_guided"))
        }

    @classmethod
    def load(
        cls, name: str = SERVED, vocabulary: Vocabulary | None = None, threads: int = 2, folder: Path = WEIGHTS
    ) -> "Recognizer":
        """Open the exported model called `name`. Raises WeightsMismatch, saying what differs."""
        return cls(vocabulary or load_vocabulary(), read_card(folder / f"{name}.toml"), threads)

    def look(self, photo: Pixels, box: Box | None = None) -> Look:
        """Encode a garment.  photo: (H, W, 3)."""
        return self.look_at_square(square(crop(photo, box), self.side))

    def look_at_square(self, pixels: Pixels) -> Look:
        """Encode one squared crop, (S, S, 3); where the card says so also its mirror image, and take the mean."""
        views = np.stack([pixels, pixels[:, ::-1]]) if self.mirror else pixels[None]
        pooled, middle, heads = self._encoder.run(None, {"photos": normalize(views)})
        return Look(*(np.asarray(seen).mean(0) for seen in (pooled, middle, heads)))

    def category_probabilities(self, photo: Pixels, boxes: Sequence[Box]) -> Floats:
        """The heads' probability of every category for several regions of a photo at once; (R, n_categories)."""
        squares = np.stack([square(crop(photo, box), self.side) for box in boxes])
        _, _, heads = self._encoder.run(None, {"photos": normalize(squares)})
        logits = np.asarray(heads)[:, : len(self.vocabulary.categories)]
        exponents = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(exponents / exponents.sum(1, keepdims=True), np.float32)

    def words(self, look: Look) -> Words:
        """The grammar with this photo's head scores."""
        return Words(self.grammar, look.heads, self.heads_weight)

    def read(self, look: Look, guide: str | None = None) -> Reading:
        """Spell the labels of what was seen, given its category or not. Raises UnknownAttribute for a bad guide."""
        token = None if guide is None else self.grammar.token("category", guide)
        words = self.words(look)
        best = beam_search(self.speller, look.pooled, words, self.beam, token)[0]
        labels = decode(self.grammar, best.tokens)
        calibration = self._calibrations[guide is not None]
        read = tuple(
            ReadLabel(group, value, 1.0 if guide and group == "category" else calibration.confidence(seen))
            for (group, value), seen in zip(labels.pairs(), self.seen(best, look), strict=True)
        )
        return Reading(labels, read, self._ranked(look, words), best.logp, guide is not None)

    def describe(self, photo: Pixels, box: Box | None = None, guide: str | None = None) -> Reading:
        """Read a photo, or the garment in `box`, as words; `guide` is its category where that is known."""
        return self.read(self.look(photo, box), guide)

    def seen(self, spelling: Spelling, look: Look) -> list[npt.NDArray[np.float64]]:
        """The evidence for each label of a spelling, in its order."""
        present, _ = self.layout.log_probabilities(look.heads)
        rows = []
        for token, step in zip(spelling.tokens[1:], spelling.steps, strict=True):
            if token == END:
                continue
            group, value = self.grammar.label(token)
            marginal = float(np.exp(present[self.vocabulary.label_ids[group, value]]))
            is_category = group == "category"
            rows.append(
                evidence(step, marginal, is_category, not is_category and self.vocabulary.groups[group].max > 1)
            )
        return rows

    def _ranked(self, look: Look, words: Words) -> tuple[ReadLabel, ...]:
        p = np.exp(category_logp(self.speller, look.pooled, words))
        order = np.argsort(-p, kind="stable")
        return tuple(ReadLabel("category", self.vocabulary.category_names[i], float(p[i])) for i in order)
