"""What serves a recognizer best: engines and precisions beside torch, in time and in answers: python -m benchmarks.serving DIR.

Every row reads the same garments of a split. ms are medians of one garment after the other: `encode` of one view,
`in_16` of one view in batches of 16, `described` from the JPEG to words and features; `of_torch` is the last as a
share of torch eager float32 in the same run. `same` is the share of single labels (those of groups that hold one value,
and the category) that torch gives too, `bits` the share of code bits that differ.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from attributes.labels import BadDataFolder, Garment, Labels, evenly, read_garments
from attributes.report import Figure, fail, positive, progress, write_figures
from attributes.vocabulary import load_vocabulary
from recognition.cards import WeightsMismatch
from recognition.checkpoints import load_weights
from recognition.decoder import State
from recognition.decoding import Memory
from recognition.evaluate import pooled_scores
from recognition.images import crop, open_photo, place, square
from recognition.model import RecognitionModel
from recognition.recognizer import SERVED, WEIGHTS, Recognizer
from recognition.runtime import ENGINES, Arrays, BadRuntime, Runtime, multiplies_bfloat16
from search.features import Extractor

N_TIMED = 60  # garments whose times are taken
LARGE = 16

Floats = npt.NDArray[np.float32]
Read = list[tuple[Labels, npt.NDArray[np.uint64]]]


class TorchEncoder:
    """The encoder in torch eager float32."""

    def __init__(self, model: RecognitionModel) -> None:
        self._model = model

    @torch.inference_mode()
    def run(self, inputs: Arrays) -> list[npt.NDArray[Any]]:
        """Photos and places to what is seen; the speller reads what the decoder makes of the photo once."""
        photos = torch.from_numpy(inputs["photos"]).contiguous(memory_format=torch.channels_last)
        seen = self._model.see(photos, torch.from_numpy(inputs["places"]))
        return [x.numpy() for x in (seen.pooled, seen.middle, self._model.decoder.look(seen.read), seen.heads)]


class TorchSpeller:
    """The decoder's step in torch eager float32."""

    def __init__(self, model: RecognitionModel, n_hidden: int) -> None:
        self._decoder, self.n_hidden = model.decoder, n_hidden

    @torch.inference_mode()
    def step(self, tokens: npt.NDArray[np.int64], read: Floats, memory: Memory) -> tuple[Floats, Memory]:
        """One step of every hypothesis."""
        state = State(torch.from_numpy(memory.hidden), torch.from_numpy(memory.cell))
        logits, after = self._decoder.step(torch.from_numpy(tokens), torch.from_numpy(read), state)
        return logits.numpy(), Memory(after.hidden.numpy(), after.cell.numpy())


def in_torch(name: str, threads: int) -> Recognizer:
    """The recognizer called `name`, run by torch."""
    torch.set_num_threads(threads)
    recognizer = Recognizer.load(name, runtime=Runtime(threads=threads))
    model = RecognitionModel(recognizer.vocabulary, recognizer.card.text["encoder"])
    load_weights(model, WEIGHTS / f"{name}.safetensors", recognizer.vocabulary)
    model = model.eval().to(memory_format=torch.channels_last)
    recognizer.encoder = TorchEncoder(model)
    recognizer.speller = TorchSpeller(model, recognizer.speller.n_hidden)
    return recognizer


def whole_way(recognizer: Recognizer, extractor: Extractor, garment: Garment) -> tuple[Labels, npt.NDArray[np.uint64]]:
    """From a file's bytes to words and the code."""
    photo = open_photo(garment.photo)
    look = recognizer.look(photo, garment.box)
    return recognizer.read(look).labels, extractor.features(photo, garment.box, look).code


def median_ms(action: Callable[[Any], object], on: Sequence[Any]) -> float:
    """Median time of `action` over `on`, after warming up on a few."""
    for one in on[:3]:
        action(one)
    took = []
    for one in on:
        started = time.perf_counter()
        action(one)
        took.append((time.perf_counter() - started) * 1000)
    return float(np.median(took))


def times(recognizer: Recognizer, extractor: Extractor, garments: Sequence[Garment]) -> dict[str, Figure]:
    """Milliseconds a garment."""
    opened = [(open_photo(g.photo), g.box) for g in garments]
    squares = np.stack([square(crop(*one), recognizer.side) for one in opened])
    places = np.stack([place(box, *photo.shape[:2]) for photo, box in opened])
    singles = [(squares[i : i + 1], places[i : i + 1]) for i in range(len(squares))]
    larges = [(squares[i : i + LARGE], places[i : i + LARGE]) for i in range(0, len(squares) - LARGE + 1, LARGE)]
    return {
        "encode_ms": median_ms(lambda one: recognizer.encode(*one), singles),
        "in_16_ms": median_ms(lambda one: recognizer.encode(*one), larges * 3) / LARGE,
        "described_ms": median_ms(lambda garment: whole_way(recognizer, extractor, garment), garments),
    }


def same_singles(read: Read, reference: Read) -> float:
    """Share of single labels that two readings have in common, of those that either has."""
    groups = load_vocabulary().groups
    same = total = 0
    for (ours, _), (theirs, _) in zip(read, reference, strict=True):
        a, b = ({p for p in x.pairs() if p[0] == "category" or groups[p[0]].max == 1} for x in (ours, theirs))
        n_groups = len({group for group, _ in a | b})
        same, total = same + len(a & b), total + n_groups
    return same / max(total, 1)


def differing_bits(read: Read, reference: Read) -> float:
    """Share of code bits that differ."""
    ours, theirs = (np.stack([code for _, code in x]).view(np.uint8) for x in (read, reference))
    return float(np.unpackbits(ours ^ theirs, axis=1).mean())


def accuracy(read: Read, garments: Sequence[Garment]) -> dict[str, Figure]:
    """How right the readings are."""
    scores = pooled_scores([set(x.pairs()) for x, _ in read], [set(g.labels.pairs()) for g in garments])
    right = [labels.category == g.labels.category for (labels, _), g in zip(read, garments, strict=True)]
    return {"category": float(np.mean(right)), "precision": scores.precision, "recall": scores.recall}


def names_of_runtimes() -> list[str]:
    """All that can run here whatever was exported: 8 bits must be named, once recognition.export --int8 has written them."""
    bfloat16 = ["openvino-bfloat16"] if multiplies_bfloat16() else []
    return [*(f"{engine}-float32" for engine in ENGINES), *bfloat16]


def main() -> None:
    """Read the command line, read the split by every runtime, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--weights", default=SERVED)
    parser.add_argument("--runtimes", nargs="*", default=names_of_runtimes())
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--limit", type=positive, help="read only this many garments, evenly spaced")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    try:
        garments = read_garments(arguments.data, load_vocabulary(), arguments.split)
        garments = [garments[i] for i in evenly(len(garments), arguments.limit)]
        timed = [garments[i] for i in evenly(len(garments), N_TIMED)]
        torchs = in_torch(arguments.weights, arguments.threads)
        extractor = Extractor(torchs)
        rows: dict[str, dict[str, Figure]] = {"torch-float32": times(torchs, extractor, timed)}
        reference = [whole_way(torchs, extractor, g) for g in progress(garments, len(garments), "torch")]
        rows["torch-float32"].update(accuracy(reference, garments))
        for name in arguments.runtimes:
            ours = Recognizer.load(arguments.weights, runtime=Runtime.named(name, arguments.threads))
            row = times(ours, extractor, timed)
            read = [whole_way(ours, extractor, g) for g in progress(garments, len(garments), name)]
            share = float(str(row["described_ms"])) / float(str(rows["torch-float32"]["described_ms"]))
            rows[name] = {**row, "of_torch": share, **accuracy(read, garments),
                          "same": same_singles(read, reference), "bits": differing_bits(read, reference)}  # fmt: skip
    except (BadDataFolder, BadRuntime, WeightsMismatch) as wrong:
        fail(str(wrong))
    write_figures(
        {"weights": arguments.weights, "garments": len(garments), "threads": arguments.threads, "rows": rows},
        arguments.json,
    )


if __name__ == "__main__":
    main()
