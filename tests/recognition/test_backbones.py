"""Encoders behind one face."""

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch.nn import functional

from attributes.vocabulary import Vocabulary
from recognition.backbones import ENCODERS, MobileNetV2, PadLikeTensorFlow, StrideTwo, make_encoder
from recognition.cards import MissingWeights
from recognition.dataset import lit
from recognition.heads import HeadLayout
from recognition.images import N_PLACE
from recognition.model import RecognitionModel, n_parameters


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_gives_maps_of_two_depths(name: str) -> None:
    encoder = make_encoder(name).eval()
    with torch.no_grad():
        middle, last = encoder.maps(torch.rand(2, 3, 96, 96))
    assert last.shape[:2] == (2, encoder.n_channels)
    assert middle.shape[:2] == (2, encoder.n_middle)
    assert middle.shape[2] > last.shape[2]


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_can_be_trained_to_spell(name: str, vocabulary: Vocabulary) -> None:
    model = RecognitionModel(vocabulary, name)
    assert n_parameters(model) > 10_000
    seen = model.see(torch.rand(2, 3, 96, 96), torch.rand(2, N_PLACE))
    assert seen.heads.shape == (2, HeadLayout(vocabulary).n_logits)
    logits = model.decoder(seen.read, torch.tensor([[0, 2], [0, 3]]))
    assert logits.shape == (2, 2, 184)
    logits.sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.encoder.parameters())


def test_folded_batch_norms_and_padding_change_nothing_but_the_padding(tmp_path: Path) -> None:
    """Against torchvision's network whose strided convolutions are padded by hand at the bottom and right."""
    torch.manual_seed(0)
    whole = torchvision.models.mobilenet_v2(weights=None).eval()
    for module in whole.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.6, 1.5)
    save_file(whole.state_dict(), tmp_path / "start.safetensors")
    ours = MobileNetV2(tmp_path / "start.safetensors").eval()
    for module in whole.modules():
        if isinstance(module, torch.nn.Conv2d) and module.stride == (2, 2):
            module.padding = (0, 0)
            module.register_forward_pre_hook(lambda _, maps: functional.pad(maps[0], (0, 1, 0, 1)))
    photos = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        torch.testing.assert_close(ours.maps(photos)[1], whole.features(photos), rtol=1e-3, atol=1e-4)


def test_padding_is_at_the_bottom_and_right() -> None:
    assert PadLikeTensorFlow()(torch.ones(1, 1, 2, 2))[0, 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]


def test_starting_weights_that_are_not_there_are_said(tmp_path: Path) -> None:
    with pytest.raises(MissingWeights, match="no starting weights"):
        make_encoder("mobilenet_v2", tmp_path / "none.safetensors")


def test_the_first_blocks_are_left_as_they_came() -> None:
    encoder = MobileNetV2()
    encoder.maps(torch.rand(1, 3, 64, 64))[1].sum().backward()
    frozen = [p.grad for block in encoder.blocks[:4] for p in block.parameters()]
    assert all(g is None for g in frozen)


def test_light_changes_stay_in_range_and_differ_per_photo() -> None:
    photos = torch.tensor([-1.0, 0, 1])[:, None, None, None].expand(3, 3, 4, 4)
    changed = lit(photos, torch.tensor([0.2, -0.1, 0.3]), torch.tensor([0.1, 0.1, 0.1]))
    assert changed[:, 0, 0, 0].tolist() == pytest.approx([-0.9, -0.1, 1.0])


def test_strided_depthwise_convolutions_learn_in_float32_and_answer_in_the_type_asked() -> None:
    torch.manual_seed(0)
    ours = StrideTwo(6, 6, 3, 2, groups=6)
    plain = torch.nn.Conv2d(6, 6, 3, 2, groups=6)
    plain.load_state_dict(ours.state_dict())
    maps = torch.rand(2, 6, 9, 9).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        out = ours(maps)
    assert out.dtype == torch.bfloat16
    up = torch.rand(2, 6, 4, 4).bfloat16()
    out.backward(up)
    plain(maps.float()).backward(up.float())
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad, rtol=1e-5, atol=1e-6)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(ours(maps), plain(maps))


def test_all_strided_depthwise_convolutions_of_mobilenet_are_of_that_kind() -> None:
    found = [m for m in MobileNetV2().modules() if isinstance(m, torch.nn.Conv2d) and m.stride == (2, 2)]
    assert [isinstance(m, StrideTwo) for m in found] == [False, True, True, True, True]
