"""ResCeption is Inception-v3 with shortcuts."""

import pytest
import torch
from torch import nn
from torchvision.models.inception import Inception3

from recognition.resception import ResCeption, ResidualModule, Stream


@pytest.fixture(scope="module")
def inception() -> Inception3:
    torch.manual_seed(3)
    return Inception3(aux_logits=False, init_weights=False).eval()


def test_with_all_shortcuts_at_zero_it_equals_inception_v3(inception: Inception3) -> None:
    network = ResCeption(inception).eval()
    network.zero_shortcuts()
    photos = torch.rand(2, 3, 139, 139)
    inception.fc, inception.transform_input = nn.Identity(), False
    with torch.no_grad():
        ours = network(photos).mean((2, 3))
        theirs = inception(photos)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def test_shortcuts_that_are_not_zero_change_what_it_sees(inception: Inception3) -> None:
    network = ResCeption(inception).eval()
    photos = torch.rand(1, 3, 107, 107)
    with torch.no_grad():
        before = network(photos)
        network.zero_shortcuts()
        assert not torch.allclose(before, network(photos))


def test_every_stream_of_two_or_more_convolutions_has_a_shortcut() -> None:
    modules = [m for m in ResCeption().modules() if isinstance(m, ResidualModule)]
    streams = [m for m in ResCeption().modules() if isinstance(m, Stream)]
    assert len(modules) == 11
    assert len(streams) == 3 * 2 + 1 + 4 * 2 + 2 + 2 * 2  # A, B, C, D, E


def test_gradients_reach_every_shortcut() -> None:
    network = ResCeption()
    network(torch.rand(2, 3, 107, 107)).sum().backward()
    for stream in (m for m in network.modules() if isinstance(m, Stream)):
        assert stream.shortcut[0].weight.grad is not None
        assert stream.shortcut[0].weight.grad.abs().sum() > 0


def test_a_shortcut_has_its_streams_stride() -> None:
    strides = {s.shortcut[0].stride for s in ResCeption().modules() if isinstance(s, Stream)}
    assert strides == {(1, 1), (2, 2)}
