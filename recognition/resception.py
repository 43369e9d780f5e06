"""ResCeption (SK Planet 2017, section 3.1): Inception-v3 with a projection shortcut round every stream.

In every inception module, every stream of two or more convolutions gets a shortcut from the module's input: a 1x1
convolution and a batch norm with the stream's stride, added before the stream's last activation. A stream that forks at
its end counts as one: its shortcut has the channels of both ends. Streams of one convolution have none. With all shortcuts at
zero this is torchvision's Inception-v3.

Shapes in this module:
    B  photos      S  side of the crop (299 in the papers, any from 75 works)
"""

import os
import pickle
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.inception import (
    BasicConv2d,
    Inception3,
    Inception_V3_Weights,
    InceptionA,
    InceptionB,
    InceptionC,
    InceptionD,
    InceptionE,
)

from recognition.cards import MissingWeights

ADDRESS = "HABERDASH_TORCHVISION_WEIGHTS"  # another address of torchvision's file


class Stream(nn.Module):
    """Convolutions in a row, whose last (or last two, side by side) meet the shortcut before their activation."""

    def __init__(self, trunk: Sequence[BasicConv2d], ends: Sequence[BasicConv2d], n_in: int, stride: int) -> None:
        super().__init__()
        self.trunk = nn.Sequential(*trunk)
        self.ends = nn.ModuleList(ends)
        n_out = sum(end.conv.out_channels for end in ends)
        self.shortcut = nn.Sequential(nn.Conv2d(n_in, n_out, 1, stride, bias=False), nn.BatchNorm2d(n_out, eps=0.001))

    def forward(self, maps: Tensor) -> Tensor:
        """(B, n_in, H, W) to (B, n_out, H', W')."""
        inner = self.trunk(maps)
        grown = torch.cat([end.bn(end.conv(inner)) for end in self.ends if isinstance(end, BasicConv2d)], 1)
        short = self.shortcut(maps)[:, :, : grown.shape[2], : grown.shape[3]]  # unpadded stride 2: one row less
        return functional.relu(grown + short, inplace=True)

    def zero_shortcut(self) -> None:
        """Let the stream start as if it had no shortcut."""
        for parameter in self.shortcut[1].parameters():
            nn.init.zeros_(parameter)


class ResidualModule(nn.Module):
    """One inception module: its streams with shortcuts, its single convolutions, and its pooled stream, joined."""

    def __init__(self, joined: Sequence[nn.Module]) -> None:
        super().__init__()
        self.joined = nn.ModuleList(joined)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, n_in, H, W) to (B, sum of the streams' channels, H', W')."""
        return torch.cat([stream(maps) for stream in self.joined], 1)


def torchvision_weights(url: str | None = None) -> Inception3:
    """Download torchvision's Inception-v3 trained on ImageNet. Raises MissingWeights where that cannot be had."""
    address = url or os.environ.get(ADDRESS) or Inception_V3_Weights.IMAGENET1K_V1.url
    try:
        state = torch.hub.load_state_dict_from_url(address, map_location="cpu", progress=False)
        inception = Inception3(aux_logits=False, init_weights=False)
        inception.load_state_dict({k: v for k, v in state.items() if not k.startswith("AuxLogits.")})
    except (OSError, RuntimeError, pickle.UnpicklingError) as wrong:
        raise MissingWeights(
            f"torchvision's weights could not be had from {address} ({wrong}); without the internet train from scratch, "
            f"or set {ADDRESS} to where the file is"
        ) from wrong
    return inception


def _pooled(convolution: BasicConv2d) -> nn.Module:
    """The average-pooled stream has one convolution and so no shortcut."""
    return nn.Sequential(nn.AvgPool2d(3, 1, 1), convolution)


def residual(module: nn.Module) -> nn.Module:
    """Return an inception module of torchvision with its shortcuts, sharing its convolutions; others unchanged."""
    if isinstance(module, InceptionA):
        n = module.branch1x1.conv.in_channels
        return ResidualModule([
            module.branch1x1,
            Stream([module.branch5x5_1], [module.branch5x5_2], n, 1),
            Stream([module.branch3x3dbl_1, module.branch3x3dbl_2], [module.branch3x3dbl_3], n, 1),
            _pooled(module.branch_pool),
        ])  # fmt: skip
    if isinstance(module, InceptionB):
        n = module.branch3x3.conv.in_channels
        return ResidualModule([
            module.branch3x3,
            Stream([module.branch3x3dbl_1, module.branch3x3dbl_2], [module.branch3x3dbl_3], n, 2),
            nn.MaxPool2d(3, 2),
        ])  # fmt: skip
    if isinstance(module, InceptionC):
        n = module.branch1x1.conv.in_channels
        return ResidualModule([
            module.branch1x1,
            Stream([module.branch7x7_1, module.branch7x7_2], [module.branch7x7_3], n, 1),
            Stream(
                [module.branch7x7dbl_1, module.branch7x7dbl_2, module.branch7x7dbl_3, module.branch7x7dbl_4],
                [module.branch7x7dbl_5], n, 1,
            ),
            _pooled(module.branch_pool),
        ])  # fmt: skip
    if isinstance(module, InceptionD):
        n = module.branch3x3_1.conv.in_channels
        return ResidualModule([
            Stream([module.branch3x3_1], [module.branch3x3_2], n, 2),
            Stream([module.branch7x7x3_1, module.branch7x7x3_2, module.branch7x7x3_3], [module.branch7x7x3_4], n, 2),
            nn.MaxPool2d(3, 2),
        ])  # fmt: skip
    if isinstance(module, InceptionE):
        n = module.branch1x1.conv.in_channels
        return ResidualModule([
            module.branch1x1,
            Stream([module.branch3x3_1], [module.branch3x3_2a, module.branch3x3_2b], n, 1),
            Stream([module.branch3x3dbl_1, module.branch3x3dbl_2], [module.branch3x3dbl_3a, module.branch3x3dbl_3b], n, 1),
            _pooled(module.branch_pool),
        ])  # fmt: skip
    return module


def _as_it_is(module: nn.Module) -> nn.Module:
    return module


def scaled_inception(width: float) -> Inception3:
    """Inception-v3 whose convolutions have `width` times the channels, rounded to even numbers."""
    inception = Inception3(aux_logits=False, init_weights=False)
    for module in [m for m in inception.modules() if isinstance(m, BasicConv2d)]:
        old = module.conv
        n_out = max(2, 2 * round(old.out_channels * width / 2))
        module.conv = nn.LazyConv2d(n_out, old.kernel_size, old.stride, old.padding, bias=False)
        module.bn = nn.BatchNorm2d(n_out, eps=0.001)
    inception.fc = nn.Identity()
    with torch.no_grad():  # the numbers of input channels follow from what is joined
        inception.eval()(torch.zeros(1, 3, 107, 107))
    return inception.train()


class ResCeption(nn.Module):
    """Inception-v3's stem and modules in order, every module with its shortcuts.

    width: of the network's channels against the published ones. shortcuts: without them it is plain Inception-v3.
    """

    def __init__(self, inception: Inception3 | None = None, width: float = 1.0, shortcuts: bool = True) -> None:
        super().__init__()
        if inception is None:
            inception = Inception3(aux_logits=False, init_weights=False) if width == 1 else scaled_inception(width)
        with_shortcuts = residual if shortcuts else _as_it_is
        stem = [
            inception.Conv2d_1a_3x3, inception.Conv2d_2a_3x3, inception.Conv2d_2b_3x3, inception.maxpool1,
            inception.Conv2d_3b_1x1, inception.Conv2d_4a_3x3, inception.maxpool2,
        ]  # fmt: skip
        upper = [
            inception.Mixed_5b, inception.Mixed_5c, inception.Mixed_5d, inception.Mixed_6a,
            inception.Mixed_6b, inception.Mixed_6c, inception.Mixed_6d, inception.Mixed_6e,
        ]  # fmt: skip
        lower = [inception.Mixed_7a, inception.Mixed_7b, inception.Mixed_7c]
        self.upper = nn.Sequential(*stem, *(with_shortcuts(m) for m in upper))
        self.lower = nn.Sequential(*(with_shortcuts(m) for m in lower))
        with torch.no_grad():
            middle, last = self.eval().maps(torch.zeros(1, 3, 107, 107))
        self.train()
        self.n_middle, self.n_channels = middle.shape[1], last.shape[1]

    def start_from(self, inception: Inception3) -> None:
        """Take the convolutions of an Inception-v3 and set every shortcut to zero: at first it is that network."""
        other = ResCeption(inception)
        own = self.state_dict()
        own.update({k: v for k, v in other.state_dict().items() if ".shortcut." not in k})
        self.load_state_dict(own)
        self.zero_shortcuts()

    def zero_shortcuts(self) -> None:
        """Set every shortcut to zero, so that weights of Inception-v3 keep their meaning."""
        for module in self.modules():
            if isinstance(module, Stream):
                module.zero_shortcut()

    def maps(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) to the maps (B, 768, S/17, ...) and (B, 2048, S/35, ...), roughly."""
        middle = self.upper(photos)
        return middle, self.lower(middle)

    def forward(self, photos: Tensor) -> Tensor:
        """(B, 3, S, S) to (B, 2048, H, W)."""
        return self.maps(photos)[1]
