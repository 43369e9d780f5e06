"""Make a trained detector servable: its weights, one ONNX file that refers to them, and its card with what it reaches on val.

python -m detection.export --data DIR --run NAME [--name NAME]
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torchvision.models.detection import FasterRCNN

from attributes.labels import BadDataFolder, read_boxes
from attributes.report import fail, flat
from attributes.vocabulary import load_vocabulary
from detection.detector import SERVED, WEIGHTS, Detector
from detection.evaluate import judge
from detection.faster_rcnn import SIDE, ExportedDetector, make_faster_rcnn
from recognition.cards import Card, WeightsMismatch, write_card
from recognition.checkpoints import export_arguments, load_weights, publish_weights
from recognition.images import BadImage
from recognition.onnx_export import to_onnx
from recognition.recognizer import Recognizer
from recognition.weight_files import NEVER


def export(detector: FasterRCNN, card: Card, eight_from: int = NEVER) -> Card:
    """Write the weights, the model, and the card with their fingerprint, which is returned.

    Tensors of `eight_from` numbers or more are stored in 8 bits.
    """
    card = publish_weights(detector, card, eight_from)
    photo = torch.rand(3, SIDE, SIDE * 2 // 3)
    to_onnx(
        ExportedDetector(detector.eval()), {"photo": photo}, ["boxes", "classes", "scores"],
        {"photo": {1: "height", 2: "width"}, "boxes": {0: "n"}, "classes": {0: "n"}, "scores": {0: "n"}},
        card.file.with_suffix(".onnx"), card.file.with_suffix(".safetensors"),
    )  # fmt: skip
    write_card(card)
    return card


def main() -> None:
    """Read the command line and export a run's weights."""
    arguments = export_arguments(__doc__ or "", SERVED, WEIGHTS).parse_args()
    vocabulary = load_vocabulary()
    words = {"vocabulary": vocabulary.fingerprint, **dict(word.split("=", 1) for word in arguments.told)}
    card = Card(arguments.out / f"{arguments.name}.toml", words, {"side": SIDE}, {})
    detector = make_faster_rcnn(vocabulary)
    source = arguments.runs / arguments.run / "best.safetensors"
    try:
        photos = read_boxes(arguments.data, vocabulary, "val")
        recognizer = Recognizer.load()
        write_card(replace(card, file=source.with_suffix(".toml")))
        load_weights(detector, source, vocabulary)
        with TemporaryDirectory(dir=arguments.out) as aside:  # what serves stays as it is until everything is ready
            new = export(detector, replace(card, file=Path(aside) / card.file.name), arguments.eight_from)
            judged = flat(judge(Detector(vocabulary, new, recognizer=recognizer), recognizer, photos))
            print(f"mAP@0.5 on val {judged['map.0.5']:.4f}, guided {judged['guided_map.0.5']:.4f}")
            judged.pop("ms_per_photo")
            write_card(replace(new, metrics={"val": judged}))
            for suffix in (".onnx", ".safetensors", ".toml"):
                new.file.with_suffix(suffix).replace(card.file.with_suffix(suffix))
    except (BadDataFolder, BadImage, OSError, WeightsMismatch) as wrong:
        fail(str(wrong))


if __name__ == "__main__":
    main()
