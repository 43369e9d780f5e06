"""What everyone else uses: a photo, or a garment in it, read as words by an exported model. No torch.

Shapes in this module:
    H, W  a photo's height and width      S  side of the squared crop
    C  channels of the last map           M  channels of the middle map      L  logits of the heads
    R  numbers that the speller reads of a crop
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attributes.labels import Box, Labels
from attributes.sequence import END, Grammar, decode
from attributes.vocabulary import Vocabulary, load_vocabulary
from recognition.batching import SharedBatches
from recognition.calibration import Calibration, evidence
from recognition.cards import Card, WeightsMismatch, read_card
from recognition.decoding import Memory, Speller, Spelling, Words, beam_search, category_logp
from recognition.heads import Floats, HeadLayout
from recognition.images import Pixels, normalize
from recognition.looks import Look, Looks, mean_look
from recognition.runtime import Network, Runtime

WEIGHTS = Path(__file__).with_name("weights")
SERVED = "mobilenet"  # the model that is better on val (docs/models.md)


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

    def __init__(self, network: Network, n_hidden: int) -> None:
        self._network = network
        self.n_hidden = n_hidden

    def step(self, tokens: npt.NDArray[np.int64], read: Floats, memory: Memory) -> tuple[Floats, Memory]:
        """tokens: (N,); read: (N, R).  Returns logits (N, V) and the next memory."""
        logits, hidden, cell = self._network.run(
            {"tokens": tokens, "read": read, "hidden": memory.hidden, "cell": memory.cell}
        )
        return logits, Memory(hidden, cell)


class Recognizer:
    """Reads garments as words."""

    def __init__(self, vocabulary: Vocabulary, card: Card, runtime: Runtime | None = None) -> None:
        card.check(vocabulary)
        card.check_files(".encoder.onnx", ".decoder.onnx")
        self.vocabulary, self.grammar = vocabulary, Grammar(vocabulary)
        self.layout = HeadLayout(vocabulary)
        self._settle(card)
        self.runtime = runtime or Runtime.named("auto")
        if self.runtime.precision == "int8":
            if not card.file.with_suffix(".encoder.int8.onnx").is_file():
                raise WeightsMismatch(
                    f"{card.file.stem} has no weights in 8 bits; recognition.export writes them with --int8"
                )
            card.check_files(".encoder.int8.onnx")
        self.encoder: Network = SharedBatches(self.runtime.open(card.file.with_suffix(".encoder.onnx")))
        speller = Runtime("onnxruntime", "float32", 1)  # a step is too small to share among threads
        self.speller: Speller = OnnxSpeller(
            speller.open(card.file.with_suffix(".decoder.onnx")), int(card.numbers["n_hidden"])
        )

    @classmethod
    def load(
        cls,
        name: str = SERVED,
        vocabulary: Vocabulary | None = None,
        runtime: Runtime | None = None,
        folder: Path = WEIGHTS,
    ) -> "Recognizer":
        """Open the exported model called `name`. Raises WeightsMismatch, saying what differs."""
        return cls(vocabulary or load_vocabulary(), read_card(folder / f"{name}.toml"), runtime)

    def with_settings(self, card: Card) -> "Recognizer":
        """The networks that are open here, read as another card of the same weights says."""
        other = copy(self)
        other._settle(card)
        return other

    def _settle(self, card: Card) -> None:
        self.card = card
        self.side = int(card.numbers["side"])
        self.small = int(card.numbers.get("small_side", self.side))
        self.beam = int(card.numbers.get("beam", 1))
        self.mirror = bool(card.numbers.get("mirror", 0))
        self.heads_weight = card.numbers.get("heads_weight", 0.0)
        biases = card.lists.get("label_biases")
        self._biases = None if biases is None else np.array(biases, np.float32)
        self._calibrations = {
            guided: Calibration(card.lists[name]) if name in card.lists else Calibration()
            for guided, name in ((False, "calibration_free"), (True, "calibration_guided"))
        }

    def looks(self, photo: Pixels) -> Looks:
        """Look at regions of a photo, (H, W, 3), each encoded once."""
        return Looks(photo, (self.small, self.side), self.mirror, self.encode)

    def look(self, photo: Pixels, box: Box | None = None) -> Look:
        """Encode a garment.  photo: (H, W, 3)."""
        return self.looks(photo).best(box)

    def look_at_square(self, pixels: Pixels, where: Floats) -> Look:
        """Encode a squared crop, (S, S, 3), at its `place`; where the card says so its mirror image too, and take the mean."""
        views = np.stack([pixels, pixels[:, ::-1]]) if self.mirror else pixels[None]
        seen = self.encode(views, np.repeat(where[None], len(views), 0))
        return mean_look(seen)

    def encode(self, squares: Pixels, places: Floats) -> list[Look]:
        """Encode (N, S, S, 3) squared crops at their places, (N, N_PLACE), as they are."""
        seen = self.encoder.run({"photos": normalize(squares), "places": places})
        return [Look(*parts) for parts in zip(*seen, strict=True)]

    def category_probabilities(self, looks: Sequence[Look]) -> Floats:
        """The heads' probability of every category for several looks; (R, n_categories)."""
        logits = np.stack([look.heads[: len(self.vocabulary.categories)] for look in looks])
        exponents = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(exponents / exponents.sum(1, keepdims=True), np.float32)

    def words(self, look: Look) -> Words:
        """The grammar with this photo's head scores."""
        return Words(self.grammar, look.heads, self.heads_weight, self._biases)

    def read(self, look: Look, guide: str | None = None) -> Reading:
        """Spell the labels of what was seen, given its category or not. Raises UnknownAttribute for a bad guide."""
        token = None if guide is None else self.grammar.token("category", guide)
        words = self.words(look)
        best = beam_search(self.speller, look.read, words, self.beam, token)[0]
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

    def category(self, look: Look) -> ReadLabel:
        """The category alone, which takes one step of the speller."""
        ranked = self._ranked(look, self.words(look))[0]
        seen = self._evidence("category", ranked.value, ranked.confidence, self._marginals(look))
        return ranked._replace(confidence=self._calibrations[False].confidence(seen))

    def seen(self, spelling: Spelling, look: Look) -> list[npt.NDArray[np.float64]]:
        """The evidence for each label of a spelling, in its order."""
        steps = zip(spelling.tokens[1:], spelling.steps, strict=True)
        present = self._marginals(look)
        return [self._evidence(*self.grammar.label(token), step, present) for token, step in steps if token != END]

    def _marginals(self, look: Look) -> Floats:
        return self.layout.log_probabilities(look.heads)[0]

    def _evidence(self, group: str, value: str, step: float, present: Floats) -> npt.NDArray[np.float64]:
        marginal = float(np.exp(present[self.vocabulary.label_ids[group, value]]))
        is_category = group == "category"
        return evidence(step, marginal, is_category, not is_category and self.vocabulary.groups[group].max > 1)

    def _ranked(self, look: Look, words: Words) -> tuple[ReadLabel, ...]:
        p = np.exp(category_logp(self.speller, look.read, words))
        order = np.argsort(-p, kind="stable")
        return tuple(ReadLabel("category", self.vocabulary.category_names[i], float(p[i])) for i in order)
