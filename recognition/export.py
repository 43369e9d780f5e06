"""Make trained weights servable: ONNX files with float16 numbers, beam and heads chosen on val, confidences calibrated.

python -m recognition.export --data DIR --run NAME [--name NAME]
"""

import argparse
import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from attributes.labels import BadDataFolder, Garment, read_garments
from attributes.report import fail, positive, progress
from attributes.vocabulary import load_vocabulary
from recognition.backbones import ENCODERS
from recognition.calibration import fit
from recognition.cards import Card, WeightsMismatch, write_card
from recognition.checkpoints import load_weights
from recognition.dataset import held_out, squared_crops
from recognition.decoder import DecoderSize, State
from recognition.evaluate import Judged, judge, pooled_scores
from recognition.model import RecognitionModel
from recognition.onnx_export import to_onnx
from recognition.recognizer import SERVED, WEIGHTS, Recognizer

HEADS_WEIGHTS = (0.0, 1.0, 2.0, 4.0)
BEAMS = (1, 4)


class _Encoder(nn.Module):
    def __init__(self, model: RecognitionModel) -> None:
        super().__init__()
        self.encoder, self.heads = model.encoder, model.heads

    def forward(self, photos: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        pooled, middle = self.encoder(photos)
        return pooled, middle, self.heads(pooled)


class _Step(nn.Module):
    def __init__(self, model: RecognitionModel) -> None:
        super().__init__()
        self.decoder = model.decoder

    def forward(self, tokens: Tensor, pooled: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, state = self.decoder.step(tokens, self.decoder.look(pooled), State(hidden, cell))
        return logits, state.hidden, state.cell


def export(model: RecognitionModel, card: Card) -> None:
    """Write encoder and decoder step beside `card`, and the card."""
    side, n_hidden = int(card.numbers["side"]), int(card.numbers["n_hidden"])
    batch = {0: "batch"}
    to_onnx(
        _Encoder(model), {"photos": torch.zeros(1, 3, side, side)}, ["pooled", "middle", "heads"],
        dict.fromkeys(("photos", "pooled", "middle", "heads"), batch), card.file.with_suffix(".encoder.onnx"),
    )  # fmt: skip
    step = {
        "tokens": torch.zeros(1, dtype=torch.int64), "pooled": torch.zeros(1, model.encoder.n_channels),
        "hidden": torch.zeros(1, n_hidden), "cell": torch.zeros(1, n_hidden),
    }  # fmt: skip
    to_onnx(
        _Step(model), step, ["logits", "next_hidden", "next_cell"],
        dict.fromkeys((*step, "logits", "next_hidden", "next_cell"), batch), card.file.with_suffix(".decoder.onnx"),
    )  # fmt: skip
    write_card(card)


def fingerprint(file: Path) -> str:
    """12 hex digits over a file: features and indexes carry those of the weights that made them."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def thresholds(recognizer: Recognizer, garments: Sequence[Garment]) -> dict[str, tuple[float, ...]]:
    """Means and medians over training garments of every channel: where the appearance codes cut."""
    crops, _ = squared_crops(garments, recognizer.side)
    looks = [recognizer.look_at_square(np.asarray(c)) for c in progress(crops, len(crops), "code thresholds")]
    return {
        "pooled_mean": tuple(np.mean([x.pooled for x in looks], 0).tolist()),
        "pooled_median": tuple(np.median([x.pooled for x in looks], 0).tolist()),
        "middle_median": tuple(np.median([x.middle for x in looks], 0).tolist()),
    }


def calibrated(recognizer: Recognizer, garments: Sequence[Garment]) -> dict[str, tuple[float, ...]]:
    """Fit the confidence maps on garments that were kept from training."""
    judged = judge(recognizer, garments)
    return {f"calibration_{way}": _fitted(judged, way == "guided") for way in ("free", "guided")}


def _fitted(judged: Sequence[Judged], guided: bool) -> tuple[float, ...]:
    emitted = [pair for one in judged for pair in one.emitted(guided)]
    seen, right = np.array([e for e, _ in emitted]), np.array([r for _, r in emitted])
    return fit(seen, right).coefficients


def choose(card: Card, garments: Sequence[Garment]) -> Card:
    """Try one view and two, every beam width and heads' weight on `garments`; keep the best F1 of free reading."""
    best, kept = -1.0, card
    for mirror in (0, 1):
        seeing = Recognizer(load_vocabulary(), _with(card, mirror=mirror))
        crops, readable = squared_crops(garments, seeing.side)
        looks = [seeing.look_at_square(np.asarray(c)) for c in crops]
        for weight in HEADS_WEIGHTS:
            for beam in BEAMS:
                tried = _with(card, mirror=mirror, beam=beam, heads_weight=weight)
                recognizer = Recognizer(load_vocabulary(), tried)
                read = [set(recognizer.read(look).labels.pairs()) for look in looks]
                scores = pooled_scores(read, [set(garments[i].labels.pairs()) for i in readable])
                print(f"{'mirror, ' * mirror}beam {beam}, heads {weight}: {scores.precision:.4f} / {scores.recall:.4f}")
                if scores.f1 > best + 5e-4:  # the simpler setting comes first and wins near ties
                    best, kept = scores.f1, tried
    return kept


def _with(card: Card, **numbers: float) -> Card:
    return replace(card, numbers={**card.numbers, **numbers})


def main() -> None:
    """Read the command line, export a run's best weights, choose decoding on val, calibrate, write the card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", required=True, help="name of the training run under --runs")
    parser.add_argument("--runs", type=Path, default=Path("var/runs"))
    parser.add_argument("--name", default=SERVED, help="name that the weights get")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--encoder", choices=ENCODERS, default="mobilenet_v2")
    parser.add_argument("--side", type=positive, default=192, help="side of the squared crop when served")
    parser.add_argument("--told", nargs="*", default=[], metavar="KEY=TEXT", help="words for the card")
    arguments = parser.parse_args()
    vocabulary = load_vocabulary()
    card = Card(
        arguments.out / f"{arguments.name}.toml",
        {"vocabulary": vocabulary.fingerprint, "encoder": arguments.encoder,
         **dict(word.split("=", 1) for word in arguments.told)},
        {"side": arguments.side, "n_hidden": DecoderSize.n_hidden},
        {},
    )  # fmt: skip
    try:
        training = read_garments(arguments.data, vocabulary, "train")
        validation = read_garments(arguments.data, vocabulary, "val")
        model = RecognitionModel(vocabulary, arguments.encoder)
        source = arguments.runs / arguments.run / "best.safetensors"
        write_card(replace(card, file=source.with_suffix(".toml")))
        load_weights(model, source, vocabulary)
    except (BadDataFolder, WeightsMismatch) as wrong:
        fail(str(wrong))
    card = replace(card, text={**card.text, "fingerprint": fingerprint(source)})
    export(model, card)
    card = choose(card, validation)
    recognizer = Recognizer(vocabulary, card)
    kept = [g for g in training if held_out(g)]
    used = [g for g in training if not held_out(g)][::8]
    card = replace(card, lists={**calibrated(recognizer, kept), **thresholds(recognizer, used)})
    write_card(card)
    shutil.copyfile(source, card.file.with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
