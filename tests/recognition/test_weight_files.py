"""Weights as they are stored: float16, or large tensors in 8 bits."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from recognition.checkpoints import save_weights
from recognition.onnx_export import to_onnx
from recognition.weight_files import LARGE, NEVER, SCALE, extents, read, stored


def _two_layers() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 48, 3), nn.BatchNorm2d(48), nn.ReLU(), nn.Flatten(), nn.Linear(48 * 36, 10))


def _answer(file: Path, photos: torch.Tensor) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    return session.run(None, {"photos": photos.numpy()})[0]


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=4, max_size=4), st.integers(0, 3))
def test_a_number_in_8_bits_is_off_by_half_a_step_of_its_row_at_most(sizes: list[float], seed: int) -> None:
    torch.manual_seed(seed)
    tensor = torch.randn(4, LARGE) * torch.tensor(sizes)[:, None]
    written = stored({"a": tensor}, 4 * LARGE)
    assert written["a"].dtype == torch.int8
    back = written["a"].float() * written["a" + SCALE][:, None]
    step = tensor.abs().amax(1, keepdim=True) / 127
    assert ((back - tensor).abs() <= 0.501 * step + 1e-9).all()


def test_small_tensors_whole_numbers_and_single_axes_stay_as_they_are(tmp_path: Path) -> None:
    state = {"bias": torch.randn(2 * LARGE), "small": torch.randn(3, 5), "n": torch.tensor([4, 2**40])}
    save_file(stored(state, LARGE), tmp_path / "w.safetensors")
    back = read(tmp_path / "w.safetensors")
    assert set(back) == set(state)
    assert back["n"].tolist() == state["n"].tolist()
    for name in ("bias", "small"):
        torch.testing.assert_close(back[name], state[name].half().float(), rtol=0, atol=0)


def test_the_extents_of_a_file_are_where_its_bytes_are(tmp_path: Path) -> None:
    state = {"a": torch.randn(7, 3), "b": torch.arange(5)}
    save_file(state, tmp_path / "w.safetensors", {"said": "something"})
    raw, at = (tmp_path / "w.safetensors").read_bytes(), extents(tmp_path / "w.safetensors")
    assert np.frombuffer(raw[at["a"].start : at["a"].stop], "<f4").tolist() == state["a"].flatten().tolist()
    assert (at["a"].kind, at["b"].kind, set(at)) == ("F32", "I64", {"a", "b"})


@pytest.mark.parametrize("eight_from", [LARGE, NEVER])
def test_an_exported_model_computes_with_the_stored_numbers(eight_from: int, tmp_path: Path) -> None:
    model = _two_layers().eval()
    weights, file = tmp_path / "w.safetensors", tmp_path / "m.onnx"
    save_weights(model, weights, eight_from)
    model.load_state_dict(read(weights))
    photos = torch.rand(2, 3, 8, 8)
    to_onnx(model, {"photos": photos}, ["out"], {}, file, weights)
    with torch.no_grad():
        np.testing.assert_allclose(_answer(file, photos), model(photos), rtol=1e-4, atol=1e-5)
    assert file.stat().st_size < 0.5 * weights.stat().st_size  # the numbers are not in it
    assert weights.stat().st_size < (20_500 if eight_from == LARGE else 40_000)


def test_numbers_that_differ_from_the_file_are_written_into_the_model(tmp_path: Path) -> None:
    model, weights, file = _two_layers().eval(), tmp_path / "w.safetensors", tmp_path / "m.onnx"
    save_weights(model, weights)
    with torch.no_grad():
        model[4].weight.mul_(2)
    photos = torch.rand(1, 3, 8, 8)
    to_onnx(model, {"photos": photos}, ["out"], {}, file, weights)
    with torch.no_grad():
        np.testing.assert_allclose(_answer(file, photos), model(photos), rtol=1e-2, atol=1e-2)
