"""What heads and speller read besides the averaged map: textures, colours of the garment, its place, and where to look.

All of it is part of the exported encoder.

Shapes in this module:
    B  photos      S  side of a squared crop      C, M  channels of the last and the middle map
    G  groups of the vocabulary, the category being one      L  logits of the heads      R  numbers read of a crop
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognition.heads import HeadLayout
from recognition.images import N_PLACE

N_COLOURS = 48  # prototypes of the colour histogram
CELL = 8  # pixels of a cell of which one colour is taken
PLACE_SCALE = 0.5  # of a place's numbers beside activations of about 1

# sRGB to CIE XYZ under D65 divided by the white point (IEC 61966-2-1)
_RGB_TO_XYZ = ((0.433953, 0.376219, 0.189828), (0.212671, 0.715160, 0.072169), (0.017758, 0.109477, 0.872765))


def lab(photos: Tensor) -> Tensor:
    """(B, 3, H, W) sRGB in [-1, 1] to CIE Lab divided by 100: L in [0, 1], a and b in about [-1, 1]."""
    rgb = (photos.float() + 1) / 2
    linear = torch.where(rgb > 0.04045, ((rgb.clamp(min=0) + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = functional.conv2d(linear, torch.tensor(_RGB_TO_XYZ, device=photos.device)[:, :, None, None])
    f = torch.where(xyz > 0.008856, xyz.clamp(min=1e-4) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f[:, 0], f[:, 1], f[:, 2]
    return torch.stack([1.16 * y - 0.16, 5 * (x - y), 2 * (y - z)], 1)


class ColourHistogram(nn.Module):
    """How much of the garment has each of some learned colours; what is garment is learned from the middle map."""

    def __init__(self, n_middle: int) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(_spread_colours())
        self.sharpness = nn.Parameter(torch.tensor(60.0))  # of the assignment, per squared distance of Lab / 100
        self.foreground = nn.Conv2d(n_middle, 1, 1)
        nn.init.zeros_(self.foreground.weight)
        nn.init.zeros_(self.foreground.bias)  # type: ignore[arg-type]

    def forward(self, photos: Tensor, middle: Tensor) -> Tensor:
        """photos: (B, 3, S, S); middle: (B, M, ...).  Returns (B, N_COLOURS + 6): roots of shares, mean and spread."""
        colours = lab(functional.avg_pool2d(photos.float(), CELL))
        logits = functional.interpolate(self.foreground(middle).float(), colours.shape[2:], mode="bilinear")
        share = functional.softmax(logits.flatten(1), 1)
        cells = colours.flatten(2)  # (B, 3, cells)
        distances = (cells[:, None] - self.prototypes[None, :, :, None]).square().sum(2)
        histogram = (functional.softmax(-self.sharpness * distances, 1) * share[:, None]).sum(2)
        mean = (cells * share[:, None]).sum(2)
        spread = ((cells - mean[:, :, None]).square() * share[:, None]).sum(2)
        return torch.cat([(histogram + 1e-6).sqrt(), mean, (spread + 1e-6).sqrt()], 1)


class GroupAttention(nn.Module):
    """Every group looks at its own places of a map: a neckline is not where a hem is."""

    def __init__(self, n_channels: int, layout: HeadLayout) -> None:
        super().__init__()
        self.places = nn.Conv2d(n_channels, len(layout.parts), 1)
        self.values = nn.Parameter(torch.zeros(layout.n_logits, n_channels))
        self.dropout = nn.Dropout(0.2)
        nn.init.zeros_(self.places.weight)  # starts as the mean
        nn.init.zeros_(self.places.bias)  # type: ignore[arg-type]
        self.extents = [(part.start, part.stop) for part in layout.parts]

    def forward(self, maps: Tensor) -> Tensor:
        """(B, C, H, W) to what it adds to the logits, (B, L)."""
        share = functional.softmax(self.places(maps).float().flatten(2), 2)
        seen = self.dropout(torch.bmm(share, maps.float().flatten(2).transpose(1, 2)))  # (B, G, C)
        return torch.cat([seen[:, g] @ self.values[a:b].T for g, (a, b) in enumerate(self.extents)], 1).float()


class Neck(nn.Module):
    """Joins everything that is read of a crop."""

    def __init__(self, n_channels: int, n_middle: int, layout: HeadLayout) -> None:
        super().__init__()
        self.n_read = n_channels + 2 * n_middle + N_COLOURS + 6 + N_PLACE
        self.textures = nn.LayerNorm(2 * n_middle)
        self.colours = ColourHistogram(n_middle)
        self.looks = nn.ModuleList([GroupAttention(n_channels, layout), GroupAttention(n_middle, layout)])

    def forward(self, photos: Tensor, places: Tensor, middle: Tensor, last: Tensor) -> tuple[Tensor, Tensor]:
        """photos: (B, 3, S, S); places: (B, N_PLACE).  Returns what is read, (B, R), and additions to the logits, (B, L)."""
        maps = middle.float().flatten(2)
        textures = self.textures(torch.cat([maps.mean(2), maps.std(2)], 1))
        colours = self.colours(photos, middle)
        read = [last.float().mean((2, 3)), 0.5 * textures, colours, PLACE_SCALE * places.float()]
        added = self.looks[0](last) + self.looks[1](middle)
        return torch.cat(read, 1), added


def _spread_colours() -> Tensor:
    """N_COLOURS colours of an sRGB grid in Lab / 100, chosen one by one, each the farthest from those before it."""
    steps = torch.linspace(-1, 1, 7)
    grid = lab(torch.cartesian_prod(steps, steps, steps)[:, :, None, None])[:, :, 0, 0]
    chosen = [0]
    nearest = (grid - grid[0]).square().sum(1)
    for _ in range(N_COLOURS - 1):
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (grid - grid[chosen[-1]]).square().sum(1))
    return grid[chosen]
