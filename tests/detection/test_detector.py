"""Training, exporting and using a detector."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from attributes.labels import read_boxes
from attributes.vocabulary import UnknownAttribute, Vocabulary
from detection.dataset import Scene, SceneChanges, changed, load_scenes, training_batches
from detection.detector import Detector
from detection.export import export
from detection.faster_rcnn import SIDE, make_faster_rcnn
from detection.train import DetectionRecipe, train
from recognition.cards import Card, WeightsMismatch
from recognition.drawing import draw_scene


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, drawn: Path, vocabulary: Vocabulary) -> Path:
    """Two short epochs on four drawn scenes."""
    folder = tmp_path_factory.mktemp("detector")
    torch.manual_seed(0)
    scenes = load_scenes(read_boxes(drawn, vocabulary, "train"), vocabulary, 160)[:4]
    recipe = DetectionRecipe(epochs=2, batch=2, side=128)
    train(make_faster_rcnn(vocabulary), scenes, recipe, folder)
    return folder


def test_the_loss_falls_and_a_checkpoint_resumes(run: Path, drawn: Path, vocabulary: Vocabulary) -> None:
    assert len((run / "log.jsonl").read_text().splitlines()) == 2
    scenes = load_scenes(read_boxes(drawn, vocabulary, "train"), vocabulary, 160)[:4]
    train(make_faster_rcnn(vocabulary), scenes, DetectionRecipe(epochs=3, batch=2, side=128), run)
    losses = [float(line.split('"loss": ')[1].split(",")[0]) for line in (run / "log.jsonl").read_text().splitlines()]
    assert len(losses) == 3
    assert losses[2] < losses[0]


def test_the_exported_detector_finds_what_torch_finds(tmp_path: Path, vocabulary: Vocabulary) -> None:
    torch.manual_seed(5)
    model = make_faster_rcnn(vocabulary).eval()
    card = Card(tmp_path / "d.toml", {"vocabulary": vocabulary.fingerprint}, {"side": SIDE}, {})
    export(model, card)
    half = make_faster_rcnn(vocabulary).eval()
    half.load_state_dict({k: v.half().float() if v.numel() >= 1000 else v for k, v in model.state_dict().items()})
    photo, _ = draw_scene(vocabulary, 3)  # 256 x 384: nothing is resized
    with torch.no_grad():
        (theirs,) = half([torch.from_numpy(photo.copy()).permute(2, 0, 1).float() / 255])
    ours = Detector.load("d", vocabulary, folder=tmp_path).find(photo)
    assert len(ours) == len(theirs["scores"]) > 0
    scores = np.sort([f.score for f in ours])
    np.testing.assert_allclose(scores, np.sort(theirs["scores"].numpy()), atol=2e-3)


def test_the_shipped_detector_finds_garments_of_drawn_people(vocabulary: Vocabulary) -> None:
    detector = Detector.load()
    right = total = 0
    for seed in range(6):
        photo, marked = draw_scene(vocabulary, seed, 512, 768)
        found = [f for f in detector.find(photo) if f.score > 0.2]
        total += len(marked)
        right += sum(any(f.box.iou(m.box) > 0.5 for f in found) for m in marked)
    assert right / total > 0.4  # it was trained on photos, not on drawings


def test_boxes_are_in_the_photos_own_pixels(vocabulary: Vocabulary) -> None:
    detector = Detector.load()
    photo, _ = draw_scene(vocabulary, 1, 768, 1152)
    height, width = photo.shape[:2]
    found = detector.find(photo)
    assert found
    assert all(-1 <= f.box.x0 < f.box.x1 <= width + 1 and -1 <= f.box.y0 < f.box.y1 <= height + 1 for f in found)
    assert max(f.box.y1 for f in found) > 400
    assert [f.score for f in found] == sorted((f.score for f in found), reverse=True)


def test_a_guide_leaves_only_its_class(vocabulary: Vocabulary) -> None:
    detector = Detector.load()
    photo, _ = draw_scene(vocabulary, 1, 512, 768)
    assert {f.category for f in detector.find(photo, "shoes")} <= {"shoes"}
    with pytest.raises(UnknownAttribute):
        detector.find(photo, "socks")


def test_extreme_shapes_are_no_harm(vocabulary: Vocabulary) -> None:
    detector = Detector.load()
    for shape in ((8, 900, 3), (900, 8, 3), (8, 8, 3)):
        assert isinstance(detector.find(np.full(shape, 90, np.uint8)), list)


def test_weights_of_another_vocabulary_are_refused(vocabulary: Vocabulary) -> None:
    other = Vocabulary(dict(reversed(vocabulary.groups.items())), vocabulary.categories)
    with pytest.raises(WeightsMismatch, match="trained with vocabulary"):
        Detector.load(vocabulary=other)


def test_changes_move_boxes_with_their_garments() -> None:
    """A white garment on black: after any change its box still holds it."""
    pixels = np.zeros((120, 80, 3), np.uint8)
    pixels[30:70, 20:50] = 255
    scene = Scene(pixels, np.array([[20, 30, 50, 70]], np.float32), np.array([3]))
    random = np.random.default_rng(0)
    for _ in range(40):
        new = changed(scene, 120, replace(SceneChanges(), crop=0.5), random)
        ys, xs = np.nonzero(new.pixels[..., 0] > 128)
        np.testing.assert_allclose(new.boxes[0], [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], atol=2.5)


def test_batches_are_as_torchvision_takes_them(drawn: Path, vocabulary: Vocabulary) -> None:
    scenes = load_scenes(read_boxes(drawn, vocabulary, "val"), vocabulary, 128)
    photos, targets = next(training_batches(scenes, 2, 128, SceneChanges(), 0))
    assert photos[0].shape[0] == 3
    assert 0 <= float(photos[0].min()) <= float(photos[0].max()) <= 1
    assert targets[0]["boxes"].shape[1] == 4
    assert targets[0]["labels"].min() >= 1
