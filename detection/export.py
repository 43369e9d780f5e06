"""Make a trained detector servable: one ONNX file with float16 numbers, and its card.

python -m detection.export --run NAME [--name NAME]
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from torchvision.models.detection import FasterRCNN

from attributes.report import fail
from attributes.vocabulary import load_vocabulary
from detection.detector import SERVED, WEIGHTS
from detection.faster_rcnn import SIDE, ExportedDetector, make_faster_rcnn
from recognition.cards import Card, WeightsMismatch, write_card
from recognition.checkpoints import load_weights, publish_weights
from recognition.onnx_export import to_onnx


def export(detector: FasterRCNN, card: Card, bits: int = 16) -> None:
    """Write the weights in 16 or 8 bits, the model, and the card with the fingerprint of them."""
    card = publish_weights(detector, card, bits)
    photo = torch.rand(3, SIDE, SIDE * 2 // 3)
    to_onnx(
        ExportedDetector(detector.eval()), {"photo": photo}, ["boxes", "classes", "scores"],
        {"photo": {1: "height", 2: "width"}, "boxes": {0: "n"}, "classes": {0: "n"}, "scores": {0: "n"}},
        card.file.with_suffix(".onnx"), card.file.with_suffix(".safetensors"),
    )  # fmt: skip
    write_card(card)


def main() -> None:
    """Read the command line and export a run's weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="name of the training run under --runs")
    parser.add_argument("--runs", type=Path, default=Path("var/runs"))
    parser.add_argument("--name", default=SERVED, help="name that the weights get")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--bits", type=int, choices=(8, 16), default=16, help="of every large weight as it is stored")
    parser.add_argument("--told", nargs="*", default=[], metavar="KEY=TEXT", help="words for the card")
    arguments = parser.parse_args()
    vocabulary = load_vocabulary()
    words = {"vocabulary": vocabulary.fingerprint, **dict(word.split("=", 1) for word in arguments.told)}
    card = Card(arguments.out / f"{arguments.name}.toml", words, {"side": SIDE}, {})
    detector = make_faster_rcnn(vocabulary)
    source = arguments.runs / arguments.run / "best.safetensors"
    try:
        write_card(replace(card, file=source.with_suffix(".toml")))
        load_weights(detector, source, vocabulary)
    except (OSError, WeightsMismatch) as wrong:
        fail(str(wrong))
    export(detector, card, arguments.bits)


if __name__ == "__main__":
    main()
