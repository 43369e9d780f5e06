"""The recognizer's second opinion of what the detector found: their class probabilities, weighted and multiplied.

The detector saw far fewer garments of the rare classes than the recognizer; it knows better where a garment is, the
recognizer which kind it is.

Shapes in this module:
    R  regions judged      K  categories
"""

from collections.abc import Sequence

import numpy as np

from attributes.labels import Box
from detection.guidance import Found
from recognition.looks import Looks
from recognition.recognizer import Recognizer

WEIGHT = 0.35  # of the recognizer's log-probability against the detector's; best mAP@0.5 on val of 0, 0.2, 0.35, 0.5
LEAST = 0.03  # detections below this are left as they are: they cost time and change little
N_REGIONS = 8  # regions looked at for one photo; with 12 the mAP on val is 0.489, with 8 0.493
SAME_REGION = 0.8  # IoU from which detections share one look


def second_opinion(recognizer: Recognizer, looks: Looks, found: Sequence[Found]) -> list[Found]:
    """Return the detections with scores that both models agree on, best first; boxes and classes stay.

    looks: at the photo.  found: best first.
    """
    regions: list[Box] = []
    region_of: dict[int, int] = {}
    for i, one in enumerate(found):
        if one.score < LEAST:
            continue
        near = next((r for r, box in enumerate(regions) if box.iou(one.box) > SAME_REGION), None)
        if near is None and len(regions) < N_REGIONS:
            near = len(regions)
            regions.append(one.box)
        if near is not None:
            region_of[i] = near
    if not regions:
        return list(found)
    probabilities = recognizer.category_probabilities(looks.glances(regions))  # (R, K)
    ids = {name: i for i, name in enumerate(recognizer.vocabulary.category_names)}
    judged = [
        one._replace(score=_joined(one.score, probabilities[region_of[i], ids[one.category]]))
        if i in region_of
        else one._replace(score=one.score * LEAST)
        for i, one in enumerate(found)
    ]
    return sorted(judged, key=lambda f: -f.score)


def _joined(score: float, probability: np.float32) -> float:
    return float(score ** (1 - WEIGHT) * float(probability) ** WEIGHT)
