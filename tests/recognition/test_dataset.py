"""Photos as training crops."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from attributes.labels import read_garments
from attributes.vocabulary import Vocabulary
from recognition.dataset import Augmentation, changed, held_out, squared_crops
from recognition.train import load_splits


def test_unreadable_photos_are_named_counted_and_skipped(
    drawn: Path, vocabulary: Vocabulary, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(drawn, tmp_path / "data")
    spoilt = [g for g in read_garments(tmp_path / "data", vocabulary, "train") if not held_out(g)][:3]
    for garment in spoilt:
        garment.photo.write_bytes(garment.photo.read_bytes()[:100])
    training, _ = load_splits(tmp_path / "data", vocabulary, tmp_path / "runs")
    said = capfd.readouterr().out
    assert not set(training.ids) & {g.id for g in spoilt}
    assert all(f"left out {g.photo.name}" in said for g in spoilt)
    assert f"3 of {len(training) + 3} garments are left out" in said


def test_a_photo_that_cannot_be_read_is_left_out(drawn: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    garments = read_garments(drawn, vocabulary, "val")[:6]
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no photo")
    garments[2] = replace(garments[2], photo=broken)
    crops, readable = squared_crops(garments, 32)
    assert readable == [0, 1, 3, 4, 5]
    assert len(crops) == 5


def test_crops_are_kept_for_the_next_run(drawn: Path, vocabulary: Vocabulary, tmp_path: Path) -> None:
    garments = read_garments(drawn, vocabulary, "val")[:6]
    first, _ = squared_crops(garments, 32, tmp_path)
    assert list(tmp_path.glob("crops-32-*.npy"))
    again, _ = squared_crops(garments, 32, tmp_path)
    np.testing.assert_array_equal(first, again)


def test_changes_keep_the_size_and_differ() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (72, 72, 3), np.uint8)
    one, other = (changed(pixels, 64, Augmentation(), random) for _ in range(2))
    assert one.shape == (64, 64, 3)
    assert (one != other).any()
