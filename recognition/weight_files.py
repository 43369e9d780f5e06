"""The file of a model's weights: safetensors, float16, or large tensors in 8 bits with a scale per row.

8 bits are weights alone (Krishnamoorthi 2018, section 3, symmetric, per channel); they are multiplied out on load, so that
computing is in floating point as before.

Shapes in this module:
    N  rows of a tensor, its first axis
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor

LARGE = 1000  # numbers of a tensor, from which on exported models refer to it instead of holding it
NEVER = 2**62  # more numbers than a tensor has
SCALE = ".scale"  # ends the name of the scales, (N,) float32, of a tensor in 8 bits
_TOP = 127


class Extent(NamedTuple):
    """Where a tensor lies in the file: bytes [start, stop), and its safetensors type (F16, F32, I8 ...)."""

    start: int
    stop: int
    kind: str


def stored(state: Mapping[str, Tensor], eight_from: int = NEVER) -> dict[str, Tensor]:
    """What is written of a state: floating point as float16, tensors of several axes and `eight_from` numbers or more as int8."""
    written: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if tensor.is_floating_point() and tensor.ndim > 1 and tensor.numel() >= eight_from:
            scale = tensor.float().abs().flatten(1).amax(1).clamp(min=1e-12) / _TOP
            written[name] = (tensor.float() / _by_row(scale, tensor)).round().to(torch.int8)
            written[name + SCALE] = scale
        else:
            written[name] = tensor.half() if tensor.is_floating_point() else tensor
    return {name: tensor.contiguous().clone() for name, tensor in written.items()}


def read(file: Path) -> dict[str, Tensor]:
    """A state as it was stored, floating point as float32. Raises OSError, SafetensorError."""
    tensors = load_file(file)
    state = {}
    for name, tensor in tensors.items():
        if name + SCALE in tensors:
            state[name] = tensor.float() * _by_row(tensors[name + SCALE], tensor)
        elif not name.endswith(SCALE) or name.removesuffix(SCALE) not in tensors:
            state[name] = tensor.float() if tensor.is_floating_point() else tensor
    return state


def extents(file: Path) -> dict[str, Extent]:
    """Where every tensor of a file lies: after 8 bytes with the length of a JSON header, and that header."""
    with file.open("rb") as opened:
        (n_header,) = struct.unpack("<Q", opened.read(8))
        header = json.loads(opened.read(n_header))
    start = 8 + n_header
    return {
        name: Extent(start + told["data_offsets"][0], start + told["data_offsets"][1], told["dtype"])
        for name, told in header.items()
        if name != "__metadata__"
    }


def _by_row(scale: Tensor, tensor: Tensor) -> Tensor:
    return scale.view(-1, *[1] * (tensor.ndim - 1))
