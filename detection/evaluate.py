"""Is it right? Found boxes against the marked ones, free and guided: python -m detection.evaluate."""

import contextlib
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from attributes.labels import BadDataFolder, LabeledPhoto, evenly, read_boxes
from attributes.report import Figure, fail, model_arguments, progress, write_figures
from attributes.vocabulary import Vocabulary, load_vocabulary
from detection.average_precision import (
    Matched,
    average_precision,
    bootstrap_interval,
    mean_average_precision,
    one_ranking,
)
from detection.detector import SERVED, Detector
from detection.guidance import Found
from recognition.cards import WeightsMismatch
from recognition.images import BadImage, open_photo
from recognition.recognizer import Recognizer

THRESHOLDS = np.linspace(0.5, 0.95, 10)
PRINTED = ("0.5", "0.6", "0.7", "0.8", "0.9")
N_BEST = 100

Detections = Sequence[Sequence[Found]]


def match(
    photos: Sequence[LabeledPhoto], detections: Detections, vocabulary: Vocabulary
) -> dict[str, dict[str, Matched]]:
    """Match by pycocotools: per IoU ("0.50" ... "0.95") and per category with a true box. Rows without a category are
    ignored by every class."""
    names = vocabulary.category_names
    evaluation = _coco(photos, detections, names)
    n_photos = len(photos)
    per_iou: dict[str, dict[str, Matched]] = {f"{t:.2f}": {} for t in THRESHOLDS}
    for c, name in enumerate(names):
        n_true = np.array([sum(b.category == name for b in p.boxes) for p in photos])
        if n_true.sum() == 0:
            continue
        images = evaluation.evalImgs[c * n_photos : (c + 1) * n_photos]
        for t, key in enumerate(per_iou):
            scores, hits, at = [], [], []
            for i, image in enumerate(images):
                if image is None:
                    continue
                counted = ~np.asarray(image["dtIgnore"][t], bool)
                scores.append(np.asarray(image["dtScores"])[counted])
                hits.append(np.asarray(image["dtMatches"][t])[counted] > 0)
                at.append(np.full(int(counted.sum()), i))
            per_iou[key][name] = Matched(np.concatenate(scores), np.concatenate(hits), np.concatenate(at), n_true)
    return per_iou


def _coco(photos: Sequence[LabeledPhoto], detections: Detections, names: Sequence[str]) -> COCOeval:
    truth: list[dict[str, object]] = []
    found: list[dict[str, object]] = []
    for i, (photo, boxes) in enumerate(zip(photos, detections, strict=True)):
        for marked in photo.boxes:
            ignored = marked.category is None
            for c in range(len(names)) if ignored else [names.index(marked.category or "")]:
                x0, y0, x1, y1 = marked.box
                truth.append({"id": len(truth) + 1, "image_id": i, "category_id": c, "iscrowd": int(ignored),
                              "bbox": [x0, y0, x1 - x0, y1 - y0], "area": marked.box.area})  # fmt: skip
        for one in sorted(boxes, key=lambda f: -f.score)[:N_BEST]:
            x0, y0, x1, y1 = one.box
            found.append({"image_id": i, "category_id": names.index(one.category), "score": one.score,
                          "bbox": [x0, y0, x1 - x0, y1 - y0]})  # fmt: skip
    coco = COCO()
    coco.dataset = {"images": [{"id": i} for i in range(len(photos))], "annotations": truth,
                    "categories": [{"id": c} for c in range(len(names))], "info": {}}  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its every step
        coco.createIndex()
        results = coco.loadRes(found) if found else COCO()
        evaluation = COCOeval(coco, results, "bbox")
        evaluation.params.imgIds = list(range(len(photos)))
        evaluation.params.catIds = list(range(len(names)))
        evaluation.params.iouThrs = THRESHOLDS
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [N_BEST]
        evaluation.evaluate()
    return evaluation


def in_its_photos(matched: Matched) -> Matched:
    """Only the photos that show the category: what a guide knows."""
    shown = matched.n_true > 0
    kept = shown[matched.photos]
    return Matched(matched.scores[kept], matched.hits[kept], matched.photos[kept], matched.n_true)


def _guided(per_iou: Mapping[str, Mapping[str, Matched]]) -> dict[str, Figure]:
    return {p: mean_average_precision([in_its_photos(m) for m in per_iou[f"{float(p):.2f}"].values()]) for p in PRINTED}


def guided_top1(photos: Sequence[LabeledPhoto], detections: Detections) -> float:
    """Share of (photo, category) pairs whose best box of that class has IoU >= 0.5 with a true one."""
    right = []
    for photo, boxes in zip(photos, detections, strict=True):
        for category in {b.category for b in photo.boxes if b.category}:
            best = max((f for f in boxes if f.category == category), key=lambda f: f.score, default=None)
            right.append(
                best is not None and any(best.box.iou(b.box) >= 0.5 for b in photo.boxes if b.category == category)
            )
    return float(np.mean(right))


def figures(
    photos: Sequence[LabeledPhoto], detections: Detections, read: Sequence[str], vocabulary: Vocabulary
) -> dict[str, Figure]:
    """All figures but weights and time.  read: the category that the recognizer reads from each photo."""
    per_iou = match(photos, detections, vocabulary)
    half = per_iou["0.50"]
    by_reading = [[f for f in boxes if f.category == c] for boxes, c in zip(detections, read, strict=True)]
    low, high = bootstrap_interval(list(half.values()))
    return {
        "photos": len(photos),
        "boxes": sum(b.category is not None for p in photos for b in p.boxes),
        "map": {p: mean_average_precision(list(per_iou[f"{float(p):.2f}"].values())) for p in PRINTED},
        "guided_map": _guided(per_iou),
        "ap": float(np.mean([mean_average_precision(list(m.values())) for m in per_iou.values()])),
        "micro_ap": average_precision(one_ranking(list(half.values()))),
        "guided_top1": guided_top1(photos, detections),
        "read_guided_map": _guided(match(photos, by_reading, vocabulary)),
        "map_interval": [low, high],
        "ap_per_category": {name: average_precision(m) for name, m in half.items()},
    }


def judge(detector: Detector, recognizer: Recognizer, photos: Sequence[LabeledPhoto]) -> dict[str, Figure]:
    """Look for garments in every photo; all figures but the weights' name. Raises BadImage."""
    detections, read, ms = [], [], []
    for photo in progress(photos, len(photos), "find"):
        pixels = open_photo(photo.photo)
        started = time.perf_counter()
        detections.append(detector.find(pixels))
        ms.append((time.perf_counter() - started) * 1000)
        read.append(recognizer.describe(pixels).category)
    return {**figures(photos, detections, read, detector.vocabulary), "ms_per_photo": float(np.median(ms))}


def main() -> None:
    """Read the command line, judge one split, print and write the figures."""
    arguments = model_arguments(__doc__ or "").parse_args()
    name, vocabulary = arguments.weights or SERVED, load_vocabulary()
    try:
        photos = read_boxes(Path(arguments.data), vocabulary, arguments.split)
        photos = [photos[i] for i in evenly(len(photos), arguments.limit)]
        recognizer = Recognizer.load()
        judged = judge(Detector.load(name, recognizer=recognizer), recognizer, photos)
    except (BadDataFolder, WeightsMismatch, BadImage) as wrong:
        fail(str(wrong))
    write_figures({"weights": name, **judged}, arguments.json)


if __name__ == "__main__":
    main()
