"""What a recognizer gets wrong, to be looked at one by one: python -m recognition.failures --data DIR --out FOLDER.

Writes confusions.txt, groups.txt, and mistakes.png with mistakes.csv: the most confident wrong labels of single-valued
groups and categories, one a garment, as a contact sheet. The column `judgement` waits for a person: model, label, or both.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from attributes.labels import BadDataFolder, evenly, read_garments
from attributes.report import fail, model_arguments
from attributes.vocabulary import load_vocabulary
from recognition.cards import WeightsMismatch
from recognition.evaluate import Judged, by_group, judge
from recognition.images import BadImage, crop, open_photo, square
from recognition.recognizer import SERVED, Recognizer

N_MISTAKES = 60
COLUMNS, TILE, CAPTION = 10, 180, 46  # of the contact sheet; pixels


class Mistake(NamedTuple):
    """A label that was read with this confidence where the garment has others of its group (or none)."""

    judged: Judged
    group: str
    read: str
    true: tuple[str, ...]
    confidence: float


def confusions(judged: Sequence[Judged]) -> list[tuple[tuple[str, str], int]]:
    """True and read category of what was confused, the most frequent first."""
    pairs = Counter((one.garment.labels.category, one.free.category) for one in judged)
    return [(pair, n) for pair, n in pairs.most_common() if pair[0] != pair[1]]


def confident_mistakes(judged: Sequence[Judged], n: int = N_MISTAKES) -> list[Mistake]:
    """The most confident wrong labels of groups that hold one value, at most one of a garment."""
    groups = load_vocabulary().groups
    found = []
    for one in judged:
        labels = one.garment.labels
        wrong = []
        for label in one.free.read:
            true = (labels.category,) if label.group == "category" else tuple(labels.values.get(label.group, ()))
            single = label.group == "category" or groups[label.group].max == 1
            if single and true and label.value not in true:
                wrong.append(Mistake(one, label.group, label.value, true, label.confidence))
        found += sorted(wrong, key=lambda m: -m.confidence)[:1]
    return sorted(found, key=lambda m: -m.confidence)[:n]


def contact_sheet(mistakes: Sequence[Mistake]) -> Image.Image:
    """Every mistake's garment with its number, what was read and what the label says."""
    n_rows = -(-len(mistakes) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * TILE, n_rows * (TILE + CAPTION)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for i, mistake in enumerate(mistakes):
        x, y = i % COLUMNS * TILE, i // COLUMNS * (TILE + CAPTION)
        garment = mistake.judged.garment
        sheet.paste(Image.fromarray(square(crop(open_photo(garment.photo), garment.box), TILE - 4)), (x, y))
        said = f"{i + 1} {mistake.group} {mistake.confidence:.2f}\nread {mistake.read}\nlabel {', '.join(mistake.true)}"
        draw.multiline_text((x + 2, y + TILE - 4), said, "black", font, spacing=1)
    return sheet


def write_report(judged: Sequence[Judged], out: Path) -> None:
    """Write all files into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    lines = [f"{n:4d}  {true} read as {read}" for (true, read), n in confusions(judged)]
    (out / "confusions.txt").write_text("\n".join(lines) + "\n")
    scores = by_group(judged, False)
    worst = sorted(scores.items(), key=lambda item: item[1].f1)
    table = [
        f"{g:14s} F1 {s.f1:.3f}  precision {s.precision:.3f}  recall {s.recall:.3f}  of {s.support}" for g, s in worst
    ]
    (out / "groups.txt").write_text("\n".join(table) + "\n")
    mistakes = confident_mistakes(judged)
    contact_sheet(mistakes).save(out / "mistakes.png")
    with (out / "mistakes.csv").open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(["number", "id", "group", "read", "label", "confidence", "title", "judgement"])
        for i, m in enumerate(mistakes):
            garment = m.judged.garment
            writer.writerow(
                [i + 1, garment.id, m.group, m.read, " ".join(m.true), f"{m.confidence:.3f}", garment.title, ""]
            )


def main() -> None:
    """Read the command line, judge one split and write the report."""
    parser = model_arguments(__doc__ or "")
    parser.add_argument("--out", type=Path, default=Path("var/failures"))
    arguments = parser.parse_args()
    try:
        garments = read_garments(Path(arguments.data), load_vocabulary(), arguments.split)
        recognizer = Recognizer.load(arguments.weights or SERVED)
        write_report(judge(recognizer, [garments[i] for i in evenly(len(garments), arguments.limit)]), arguments.out)
    except (BadDataFolder, WeightsMismatch, BadImage) as wrong:
        fail(str(wrong))
    print(f"look at {arguments.out / 'mistakes.png'} and fill in the column `judgement` of mistakes.csv")


if __name__ == "__main__":
    main()
