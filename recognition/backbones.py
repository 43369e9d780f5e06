"""Encoders behind one face: a batch of squared crops becomes maps of two depths.

Shapes in this module:
    B  photos          S  side of a squared crop in pixels
    C  channels of the last map, M channels of the middle map
"""

from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from recognition.cards import MissingWeights
from recognition.resception import ResCeption

MOBILENET_FROZEN = 4  # first blocks kept as ImageNet left them: strides 2 and 4, whose maps are the largest


class Encoder(nn.Module):
    """A convolutional network that gives maps of two depths."""

    n_channels: int
    n_middle: int

    def maps(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        """photos: (B, 3, S, S) in [-1, 1].  Returns the middle and the last map, (B, M, S', S') and (B, C, S'', S'')."""
        raise TypeError(f"{type(self).__name__} does not say its maps")


class PadLikeTensorFlow(nn.Module):
    """Pads what a convolution of stride 2 reads at the bottom and right only, as the weights' own network did."""

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H + 1, W + 1)."""
        return functional.pad(maps, (0, 1, 0, 1))


class StrideTwo(nn.Conv2d):
    """A depthwise convolution of stride 2 that learns in float32 on a processor, whatever autocast says.

    oneDNN's bfloat16 gradients of it take two to nine times as long: 181 ms of a step of 64 photos against 54 with the way
    forward (160 pixels, two threads, AMX), of some 740 for all of MobileNet-v2.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to (B, C, H', W') of the same type."""
        if maps.device.type != "cpu" or not torch.is_grad_enabled():
            return super().forward(maps)
        with torch.autocast("cpu", enabled=False):
            return super().forward(maps.float()).to(maps.dtype)


class MobileNetV2(Encoder):
    """MobileNet-v2 (Sandler et al. 2018) with its batch norms folded into the convolutions, as its weights come."""

    n_channels = 1280
    n_middle = 96

    def __init__(self, weights: Path | None = None) -> None:
        super().__init__()
        whole = torchvision.models.mobilenet_v2(weights=None)
        if weights is not None:
            if not weights.is_file():
                raise MissingWeights(f"no starting weights at {weights}; see docs/models.md for where they come from")
            whole.load_state_dict({k: v.float() for k, v in load_file(weights).items()}, strict=True)
        self.blocks = whole.features
        _fold_batch_norms(self.blocks)
        _pad_like_tensorflow(self.blocks)

    def levels(self, photos: Tensor, n_frozen: int = MOBILENET_FROZEN) -> tuple[Tensor, Tensor, Tensor]:
        """The maps of strides 8, 16 and 32: (B, 32, ...), (B, 96, ...), (B, 1280, ...)."""
        with torch.no_grad():
            low = photos
            for block in self.blocks[:n_frozen]:
                low = block(low)
        eight = self.blocks[n_frozen:7](low)
        sixteen = self.blocks[7:14](eight)
        return eight, sixteen, self.blocks[14:](sixteen)

    def maps(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        """The maps of stride 16 (linear, 96 channels) and 32 (1280 channels)."""
        _, sixteen, last = self.levels(photos)
        return sixteen, last


class Tiny(Encoder):
    """Four small convolutions: learns drawn garments in seconds, for tests and for a first look."""

    n_channels = 128
    n_middle = 48

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(*_small(3, 24), *_small(24, 48))
        self.second = nn.Sequential(*_small(48, 96), *_small(96, 128))

    def maps(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        """Maps of stride 4 and 16."""
        middle = self.first(photos)
        return middle, self.second(middle)


class ResCeptionEncoder(Encoder):
    """ResCeption (SK Planet 2017) behind the face of the encoders."""

    def __init__(self, width: float = 1.0, shortcuts: bool = True) -> None:
        super().__init__()
        self.network = ResCeption(width=width, shortcuts=shortcuts)
        self.n_channels, self.n_middle = self.network.n_channels, self.network.n_middle

    def maps(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        """The maps after the 17 x 17 modules and after the last module."""
        return self.network.maps(photos)


def make_encoder(name: str, weights: Path | None = None) -> Encoder:
    """Return the encoder called `name`, from `weights` where it can start from any. Raises KeyError, MissingWeights."""
    if name == "mobilenet_v2":
        return MobileNetV2(weights)
    others: dict[str, type[Encoder]] = {"tiny": Tiny, "resception": ResCeptionEncoder}
    return others[name]()


ENCODERS = ("mobilenet_v2", "tiny", "resception")


def _small(n_in: int, n_out: int) -> list[nn.Module]:
    return [nn.Conv2d(n_in, n_out, 3, 2, 1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU()]


def _fold_batch_norms(module: nn.Module) -> None:
    """Replace every convolution followed by a batch norm by one convolution that does the same."""
    names = [name for name, _ in module.named_children()]
    for name, following in zip(names, [*names[1:], ""], strict=False):
        child = getattr(module, name)
        norm = getattr(module, following) if following else None
        if isinstance(child, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, name, nn.utils.fuse_conv_bn_eval(child.eval(), norm.eval()))
            setattr(module, following, nn.Identity())
        else:
            _fold_batch_norms(child)


def _pad_like_tensorflow(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d) and child.stride == (2, 2):
            unpadded = nn.Conv2d if child.groups == 1 else StrideTwo
            size = (child.in_channels, child.out_channels, child.kernel_size, child.stride)
            convolution = unpadded(*size, groups=child.groups)  # type: ignore[arg-type]
            convolution.load_state_dict(child.state_dict())
            setattr(module, name, nn.Sequential(PadLikeTensorFlow(), convolution))
        else:
            _pad_like_tensorflow(child)
