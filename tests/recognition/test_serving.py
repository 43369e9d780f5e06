"""Running exported models: shared batches, looks, runtimes."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from attributes.labels import Box
from attributes.vocabulary import Vocabulary
from recognition.batching import SharedBatches
from recognition.cards import WeightsMismatch
from recognition.doubts import doubts
from recognition.drawing import draw_scene
from recognition.heads import HeadLayout
from recognition.images import full_box
from recognition.looks import Look, Looks
from recognition.recognizer import Recognizer
from recognition.runtime import Arrays, BadRuntime, Runtime, multiplies_bfloat16


class Slow:
    """Doubles its input, slowly, and notes the sizes of its batches."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def run(self, inputs: Arrays) -> list[np.ndarray]:
        self.sizes.append(len(inputs["x"]))
        time.sleep(0.02)
        if (inputs["x"] < 0).any():
            raise ValueError("negative")
        return [inputs["x"] * 2, inputs["x"].sum(1)]


def test_requests_at_the_same_time_share_runs_and_get_their_own_answers() -> None:
    slow = Slow()
    shared = SharedBatches(slow, largest=6)
    requests = [np.full((1 + i % 3, 4), i, np.float32) for i in range(24)]
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda x: shared.run({"x": x}), requests))
    for asked, (doubled, summed) in zip(requests, answers, strict=True):
        np.testing.assert_array_equal(doubled, asked * 2)
        np.testing.assert_array_equal(summed, asked.sum(1))
    assert sum(slow.sizes) == sum(map(len, requests))
    assert max(slow.sizes) <= 6
    assert len(slow.sizes) < len(requests)


def test_photos_of_other_sizes_do_not_share_a_run() -> None:
    slow = Slow()
    shared = SharedBatches(slow)
    requests = [np.full((1, 4 + i % 2), i, np.float32) for i in range(12)]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda x: shared.run({"x": x})[0], requests))
    assert all((answer == asked * 2).all() for asked, answer in zip(requests, answers, strict=True))


def test_a_request_larger_than_a_batch_runs_by_itself() -> None:
    slow = Slow()
    assert len(SharedBatches(slow, largest=2).run({"x": np.ones((5, 1), np.float32)})[0]) == 5
    assert slow.sizes == [5]


def test_everyone_in_a_failing_batch_hears_of_it_and_the_next_is_answered() -> None:
    shared = SharedBatches(Slow())
    with pytest.raises(ValueError, match="negative"):
        shared.run({"x": np.full((1, 2), -1, np.float32)})
    assert shared.run({"x": np.ones((1, 2), np.float32)})[1].tolist() == [2]


def test_nobody_waits_for_company() -> None:
    slow = Slow()
    shared = SharedBatches(slow)
    threading.Thread(target=lambda: shared.run({"x": np.ones((1, 1), np.float32)})).start()
    shared.run({"x": np.ones((1, 1), np.float32)})
    assert sum(slow.sizes) == 2


def look_of(squares: np.ndarray, places: np.ndarray) -> list[Look]:
    return [
        Look(np.array([s[:, : s.shape[1] // 2].mean(), s.mean()], np.float32), p, p, p)
        for s, p in zip(squares, places, strict=True)
    ]


def test_a_region_is_encoded_once_and_the_whole_photo_has_one_name(vocabulary: Vocabulary) -> None:
    photo = draw_scene(vocabulary, 3, 120, 180)[0]
    seen: list[int] = []

    def encode(squares: np.ndarray, places: np.ndarray) -> list[Look]:
        seen.append(len(squares))
        return look_of(squares, places)

    looks = Looks(photo, (32, 64), True, encode)
    box = Box(10, 10, 60, 100)
    looks.glances([box, None, box])
    best = looks.best(box)
    looks.best(full_box(photo))
    looks.best(None)
    looks.glances([full_box(photo)])
    assert seen == [2, 2, 2]  # small views of two regions, then each as it is read, with its mirror image
    plain, mirrored = look_of(*_views(photo, box))
    np.testing.assert_allclose(best.pooled, (plain.pooled + mirrored.pooled) / 2)


def _views(photo: np.ndarray, box: Box) -> tuple[np.ndarray, np.ndarray]:
    from recognition.images import crop, place, square

    pixels = square(crop(photo, box), 64)
    return np.stack([pixels, pixels[:, ::-1]]), np.stack([place(box, *photo.shape[:2])] * 2)


@pytest.mark.parametrize("name", ["openvino-float32", "openvino-bfloat16", "onnxruntime-float32"])
def test_every_runtime_reads_nearly_the_same(name: str, vocabulary: Vocabulary) -> None:
    if name == "openvino-bfloat16" and not multiplies_bfloat16():
        with pytest.raises(BadRuntime, match="no instructions"):
            Runtime.named(name)
        return
    photo, marked = draw_scene(vocabulary, 5, 240, 360)
    true = Recognizer.load(runtime=Runtime("onnxruntime", "float32", 1)).look(photo, marked[0].box)
    ours = Recognizer.load(runtime=Runtime.named(name, 1)).look(photo, marked[0].box)
    assert np.corrcoef(ours.heads, true.heads)[0, 1] > 0.995
    assert ours.pooled.shape == true.pooled.shape


def test_runtimes_that_do_not_exist_are_named() -> None:
    with pytest.raises(BadRuntime, match="there are: auto, openvino-float32"):
        Runtime.named("tensorflow")
    with pytest.raises(BadRuntime, match="openvino-bfloat16"):
        Runtime.named("onnxruntime-bfloat16")
    assert Runtime.named("auto", 3) == Runtime("onnxruntime", "float32", 3)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_file_that_is_no_model_is_refused(engine: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsMismatch, match="no exported model"):
        Runtime(engine).open(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"\x08\x07not a model")
    with pytest.raises(WeightsMismatch, match="damaged"):
        Runtime(engine).open(tmp_path / "bad.onnx")


def test_the_photo_speaks_against_what_a_title_says_wrongly(vocabulary: Vocabulary) -> None:
    layout = HeadLayout(vocabulary)
    logits = np.full(layout.n_logits, -6, np.float32)
    for part in layout.parts:
        values = vocabulary.values(part.group)
        shown = {"category": "dress", "colour": "red", "sleeve-length": "sleeveless"}.get(part.group)
        if shown:
            logits[part.start + values.index(shown)] = 6
        elif part.exclusive:
            logits[part.stop - 1] = 6
    nothing = np.zeros(1, np.float32)
    look = Look(nothing, nothing, nothing, logits)
    assert doubts(layout, look, "Red sleeveless dress") == []
    found = doubts(layout, look, "Blue long-sleeved dress")
    assert {(d.group, d.said, d.shown) for d in found} == {
        ("colour", "blue", "red"),
        ("sleeve-length", "long-sleeve", "sleeveless"),
    }
    assert [d.sure for d in found] == sorted([d.sure for d in found], reverse=True)
    assert doubts(layout, look, "Skirt")[0][:3] == ("category", "skirt", "dress")
    assert doubts(layout, look, "Dress with blue flowers") == []  # blue is said of the flowers
