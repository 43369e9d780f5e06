"""ResCeption is Inception-v3 with shortcuts."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models.inception import Inception3

from recognition.cards import MissingWeights
from recognition.resception import ResCeption, ResidualModule, Stream, torchvision_weights


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


@pytest.fixture
def weights_server(tmp_path: Path) -> Iterator[tuple[str, Inception3]]:
    """A server on this machine that offers a file as torchvision's: with the auxiliary head that is not used."""
    torch.manual_seed(3)
    offered = Inception3(init_weights=False)
    torch.save(offered.state_dict(), tmp_path / "inception_v3_google-0cc3c7bd.pth")
    (tmp_path / "other.pth").write_bytes(b"no weights")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", offered
        server.shutdown()


def test_it_starts_from_torchvisions_weights_as_that_network(
    weights_server: tuple[str, Inception3], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, offered = weights_server
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    network = ResCeption()
    network.start_from(torchvision_weights(f"{address}/inception_v3_google-0cc3c7bd.pth"))
    photos = torch.rand(1, 3, 107, 107) * 2 - 1
    offered.fc, offered.transform_input = nn.Identity(), False
    with torch.no_grad():
        ours, theirs = network.eval()(photos).mean((2, 3)), offered.eval()(photos)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("file", ["other.pth", "nothing.pth"])
def test_torchvisions_weights_that_cannot_be_had_are_said_clearly(
    weights_server: tuple[str, Inception3], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "cache"))
    with pytest.raises(MissingWeights, match="could not be had"):
        torchvision_weights(f"{weights_server[0]}/{file}")
