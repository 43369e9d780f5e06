"""Average precision, against pycocotools itself and by hand."""

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest

from attributes.labels import Box, LabeledBox, LabeledPhoto
from attributes.vocabulary import Vocabulary
from detection.average_precision import Matched, average_precision, bootstrap_interval, one_ranking
from detection.evaluate import _coco, figures, guided_top1, in_its_photos, match
from detection.guidance import Found


def scenes(n: int, seed: int = 0) -> tuple[list[LabeledPhoto], list[list[Found]]]:
    """Random photos with found boxes near the true ones, wrong classes and false alarms."""
    random = np.random.default_rng(seed)
    names = ("coat", "dress", "shoes")
    photos, detections = [], []
    for i in range(n):
        marked, found = [], []
        for name in random.choice(names, random.integers(1, 4)):
            x, y, w, h = random.uniform(0, 50), random.uniform(0, 50), random.uniform(20, 60), random.uniform(20, 60)
            marked.append(LabeledBox(Box(x, y, x + w, y + h), str(name)))
            jitter = random.normal(0, 5, 4)
            box = Box(x + jitter[0], y + jitter[1], x + w + jitter[2], y + h + jitter[3])
            said = str(name) if random.random() < 0.8 else str(random.choice(names))
            found.append(Found(said, float(random.random()), box))
        found.append(Found("dress", float(random.random() / 2), Box(1, 1, 30, 30)))
        if i % 4 == 0:
            marked.append(LabeledBox(Box(0, 0, 31, 31), None))
        photos.append(LabeledPhoto(Path(f"{i}.jpg"), "val", tuple(marked)))
        detections.append(found)
    return photos, detections


def test_it_equals_pycocotools(vocabulary: Vocabulary) -> None:
    photos, detections = scenes(40)
    evaluation = _coco(photos, detections, vocabulary.category_names)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
    theirs = evaluation.eval["precision"]  # (T, 101, categories, areas, max detections)
    per_iou = match(photos, detections, vocabulary)
    for t, key in enumerate(per_iou):
        for name, matched in per_iou[key].items():
            expected = theirs[t, :, vocabulary.category_names.index(name), 0, 0].mean()
            assert average_precision(matched) == pytest.approx(expected, abs=1e-9), (key, name)


def test_by_hand() -> None:
    hits = np.array([True, False, True])
    matched = Matched(np.array([0.9, 0.8, 0.7]), hits, np.zeros(3, np.int64), np.array([2]))
    # recall 0.5 at precision 1, recall 1 at precision 2/3: 51 points of 1, 50 points of 2/3
    assert average_precision(matched) == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_a_weight_counts_a_photo_as_often() -> None:
    photos, detections = scenes(6)
    from attributes.vocabulary import load_vocabulary

    doubled = match(photos + [photos[2]], detections + [detections[2]], load_vocabulary())["0.50"]
    weights = np.array([1, 1, 2, 1, 1, 1])
    for name, matched in match(photos, detections, load_vocabulary())["0.50"].items():
        assert average_precision(matched, weights) == pytest.approx(average_precision(doubled[name]), abs=1e-6)


def test_no_true_box_is_no_number_and_nothing_found_is_zero() -> None:
    nothing = np.zeros(0)
    assert np.isnan(average_precision(Matched(nothing, nothing.astype(bool), nothing.astype(int), np.array([0]))))
    assert average_precision(Matched(nothing, nothing.astype(bool), nothing.astype(int), np.array([3]))) == 0


def test_a_detection_on_an_ignored_region_does_not_count(vocabulary: Vocabulary) -> None:
    marked = (LabeledBox(Box(0, 0, 10, 10), "coat"), LabeledBox(Box(50, 50, 90, 90), None))
    photos = [LabeledPhoto(Path("a.jpg"), "val", marked)]
    found = [[Found("coat", 0.9, Box(50, 50, 90, 90)), Found("coat", 0.8, Box(0, 0, 10, 10))]]
    assert average_precision(match(photos, found, vocabulary)["0.50"]["coat"]) == 1.0


def test_guided_looks_only_at_photos_that_show_the_category(vocabulary: Vocabulary) -> None:
    photos, detections = scenes(30)
    for matched in match(photos, detections, vocabulary)["0.50"].values():
        assert average_precision(in_its_photos(matched)) >= average_precision(matched) - 1e-9


def test_best_box_of_the_class(vocabulary: Vocabulary) -> None:
    photos = [LabeledPhoto(Path("a.jpg"), "val", (LabeledBox(Box(0, 0, 10, 10), "coat"),))]
    right, wrong = Found("coat", 0.4, Box(0, 0, 10, 9)), Found("coat", 0.6, Box(30, 30, 40, 40))
    assert guided_top1(photos, [[right]]) == 1
    assert guided_top1(photos, [[right, wrong]]) == 0
    assert guided_top1(photos, [[]]) == 0


def test_all_figures_are_there(vocabulary: Vocabulary) -> None:
    photos, detections = scenes(20)
    judged = figures(photos, detections, ["dress"] * 20, vocabulary)
    low, high = judged["map_interval"]
    assert low <= judged["map"]["0.5"] <= high + 0.1
    assert judged["ap"] <= judged["map"]["0.5"]
    assert judged["read_guided_map"]["0.5"] <= judged["guided_map"]["0.5"]
    assert set(judged["ap_per_category"]) == {"coat", "dress", "shoes"}


def test_one_ranking_joins_all_categories(vocabulary: Vocabulary) -> None:
    photos, detections = scenes(20)
    half = match(photos, detections, vocabulary)["0.50"]
    joined = one_ranking(list(half.values()))
    assert joined.n_true.sum() == sum(m.n_true.sum() for m in half.values())
    assert bootstrap_interval(list(half.values()), 20)[0] > 0
