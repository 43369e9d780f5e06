"""Make trained weights servable: ONNX files with float16 numbers, beam and heads chosen on val, confidences calibrated.

python -m recognition.export --data DIR --run NAME [--name NAME]
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from attributes.labels import BadDataFolder, Garment, read_garments
from attributes.report import fail, positive, progress
from attributes.vocabulary import load_vocabulary
from recognition.cards import Card, WeightsMismatch, read_card, write_card
from recognition.checkpoints import export_arguments, load_weights, publish_weights
from recognition.choosing import better, calibrated, choose, choose_biases, thresholds
from recognition.dataset import held_out, places_of, squared_crops
from recognition.decoder import DecoderSize, State
from recognition.evaluate import judge
from recognition.images import N_PLACE, normalize
from recognition.model import RecognitionModel, Seen
from recognition.onnx_export import to_onnx
from recognition.quantization import quantize
from recognition.recognizer import SERVED, WEIGHTS, Recognizer
from recognition.telling import NOT_FOR, curve, metrics, weak_spots
from recognition.weight_files import NEVER

SEEN = list(Seen._fields)  # names of the encoder's outputs
SMALL_SIDE = 144  # of crops glanced at; of 128, 144, 160 best for what the shop picks in 160 photos of val
N_ESTIMATION = 2048  # training crops that batch norms are estimated over
N_CALIBRATION = 256  # training crops that the ranges of the 8-bit encoder are taken from


class _Encoder(nn.Module):
    def __init__(self, model: RecognitionModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, photos: Tensor, places: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        seen, decoder = self.model.see(photos, places), self.model.decoder
        return seen.pooled, seen.middle, decoder.photo_gates(decoder.look(seen.read)), seen.heads


class _Step(nn.Module):
    def __init__(self, model: RecognitionModel) -> None:
        super().__init__()
        self.decoder = model.decoder

    def forward(self, tokens: Tensor, read: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, state = self.decoder.step_from_gates(self.decoder.token_gates()[tokens] + read, State(hidden, cell))
        return logits, state.hidden, state.cell


def export(model: RecognitionModel, card: Card, eight_from: int = NEVER) -> Card:
    """Write the weights, encoder and decoder step, and the card with their fingerprint, which is returned.

    Tensors of `eight_from` numbers or more are stored in 8 bits. The model then has the weights that were written.
    """
    n_hidden, batch = int(card.numbers["n_hidden"]), {0: "batch"}
    card, weights = publish_weights(model, card, eight_from), card.file.with_suffix(".safetensors")
    _export_encoder(model, int(card.numbers["side"]), card.file.with_suffix(".encoder.onnx"), weights)
    step = {
        "tokens": torch.zeros(1, dtype=torch.int64), "read": torch.zeros(1, 4 * n_hidden),
        "hidden": torch.zeros(1, n_hidden), "cell": torch.zeros(1, n_hidden),
    }  # fmt: skip
    to_onnx(
        _Step(model), step, ["logits", "next_hidden", "next_cell"],
        dict.fromkeys((*step, "logits", "next_hidden", "next_cell"), batch), card.file.with_suffix(".decoder.onnx"),
        weights,
    )  # fmt: skip
    write_card(card)
    return card


def _export_encoder(model: RecognitionModel, side: int, file: Path, weights: Path | None = None) -> None:
    named = {name: {0: "batch"} for name in ("places", *SEEN)} | {"photos": {0: "batch", 2: "height", 3: "width"}}
    inputs = {"photos": torch.zeros(1, 3, side, side), "places": torch.zeros(1, N_PLACE)}
    to_onnx(_Encoder(model), inputs, SEEN, named, file, weights)


def estimate_norms(model: RecognitionModel, garments: Sequence[Garment], side: int) -> None:
    """Take means and variances of every batch norm anew, over unchanged crops of `garments` as they are served.

    Averaged weights never saw a batch (Izmailov et al. 2018, section 3.2), and training photos are mixed and covered:
    ResCeption's loss on val fell from 12.21 to 12.03 by it.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    if not norms:
        return
    crops, readable = squared_crops(garments, side)
    places = torch.from_numpy(places_of([garments[i] for i in readable]))
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
        norm.train()
    starts = range(0, len(crops), 64)
    with torch.no_grad():
        for i in progress(starts, len(starts), "batch norms"):
            model.see(torch.from_numpy(normalize(crops[i : i + 64])), places[i : i + 64])
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()


def export_in_8_bits(model: RecognitionModel, card: Card, garments: Sequence[Garment]) -> None:
    """Write the encoder in 8 bits beside `card`, its ranges taken from the crops of `garments`."""
    side = int(card.numbers["side"])
    crops, readable = squared_crops(garments, side)
    places = places_of([garments[i] for i in readable])
    starts = range(0, len(crops), 16)
    batches = ({"photos": normalize(crops[i : i + 16]), "places": places[i : i + 16]} for i in starts)
    whole = card.file.with_suffix(".whole.onnx")
    _export_encoder(model, side, whole)
    quantize(whole, batches, card.file.with_suffix(".encoder.int8.onnx"), card.text["fingerprint"])
    whole.unlink()


def main() -> None:
    """Read the command line, export a run's best weights, choose decoding on val, calibrate, write the card."""
    parser = export_arguments(__doc__ or "", SERVED, WEIGHTS)
    parser.add_argument("--side", type=positive, default=192, help="side of the squared crop when served")
    parser.add_argument(
        "--small-side", type=positive, default=SMALL_SIDE, help="side of a crop that is only glanced at"
    )
    parser.add_argument("--int8", action="store_true", help="write the encoder in 8 bits too")
    parser.add_argument(
        "--replace-better", action="store_true", help="replace weights of this name that are better on val"
    )
    arguments = parser.parse_args()
    vocabulary = load_vocabulary()
    source = arguments.runs / arguments.run / "best.safetensors"
    try:
        training = read_garments(arguments.data, vocabulary, "train")
        validation = read_garments(arguments.data, vocabulary, "val")
        said = dict(read_card(source.with_suffix(".toml")).text)
        model = RecognitionModel(vocabulary, said["encoder"])
        load_weights(model, source, vocabulary)
    except (BadDataFolder, WeightsMismatch) as wrong:
        fail(str(wrong))
    said.update(word.split("=", 1) for word in arguments.told)
    numbers = {"side": arguments.side, "small_side": arguments.small_side, "n_hidden": DecoderSize.n_hidden}
    card = Card(arguments.out / f"{arguments.name}.toml", said, numbers, {})
    used = [g for g in training if not held_out(g)]
    estimate_norms(model, used[:: max(1, len(used) // N_ESTIMATION)], arguments.side)
    with TemporaryDirectory(dir=arguments.out) as aside:  # what serves stays as it is until everything is ready
        card = replace(card, file=Path(aside) / card.file.name)
        card = export(model, card, arguments.eight_from)
        if arguments.int8:
            export_in_8_bits(model, card, used[:: max(1, len(used) // N_CALIBRATION)])
        card = choose_biases(choose(card, validation), validation)
        recognizer = Recognizer(vocabulary, card)
        kept = [g for g in training if held_out(g)]
        card = replace(card, lists={**card.lists, **calibrated(recognizer, kept), **thresholds(recognizer, used[::8])})
        judged = {
            name: judge(recognizer.with_settings(card), some)
            for name, some in (("val", validation), ("calibration", kept))
        }
        card = replace(
            card, text={**card.text, "weak": weak_spots(judged["val"]), "not_for": NOT_FOR},
            lists={**card.lists, **curve(source.parent)},
            metrics={"val": metrics(judged["val"]), "calibration": metrics(judged["calibration"], without="ece")},
        )  # fmt: skip
        write_card(card)
        serving = arguments.out / card.file.name
        if serving.is_file() and not arguments.replace_better and (why := better(serving, card.file, validation)):
            fail(
                f"{arguments.name} is kept: on the split val {why} (--replace-better takes the new weights all the same)"
            )
        for suffix in (".encoder.onnx", ".encoder.int8.onnx", ".decoder.onnx", ".safetensors", ".toml"):
            if card.file.with_suffix(suffix).is_file():
                card.file.with_suffix(suffix).replace(serving.with_suffix(suffix))
            else:
                serving.with_suffix(suffix).unlink(missing_ok=True)  # 8 bits of other weights


if __name__ == "__main__":
    main()
