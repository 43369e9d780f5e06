"""What every training here shares: learning rates over time, the optimizer, bfloat16 and memory settings."""

import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Diverged(ArithmeticError):
    """A loss that is not a finite number."""


@contextmanager
def bf16() -> Iterator[None]:
    """Multiply in bfloat16 where that is safe, on the GPU if there is one."""
    with torch.autocast("cuda" if torch.cuda.is_available() else "cpu", torch.bfloat16):
        yield


def keep_freed_memory() -> None:
    """Start again with a malloc that keeps what is freed: page faults of large activations take a third of the time."""
    settings = {"MALLOC_TRIM_THRESHOLD_": "10000000000", "MALLOC_MMAP_THRESHOLD_": "10000000000",
                "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # fmt: skip
    if any(name not in os.environ for name in settings):
        os.execve(sys.executable, sys.orig_argv, {**settings, **os.environ})


Parameters = tuple[Tensor, ...] | list[Tensor]


def moving_average(decay: float) -> Callable[[Parameters, Parameters, Tensor | int], None]:
    """For AveragedModel: `decay` of the old weights a step, less in the first steps, so that the start is forgotten."""

    @torch.no_grad()
    def average(averaged: Parameters, current: Parameters, n_averaged: Tensor | int) -> None:
        old = min(decay, (1 + int(n_averaged)) / (10 + int(n_averaged)))
        for kept, now in zip(averaged, current, strict=True):
            if kept.is_floating_point():
                kept.lerp_(now, 1 - old)
            else:
                kept.copy_(now)

    return average


def rate_at(step: int, n_steps: int, warm_up: float) -> float:
    """Share of the peak learning rate: a linear warm-up, then a cosine down to zero."""
    n_warm = max(1, int(n_steps * warm_up))
    if step < n_warm:
        return (step + 1) / n_warm
    return 0.5 * (1 + math.cos(math.pi * (step - n_warm) / max(1, n_steps - n_warm)))


def make_optimizer(
    model: nn.Module, encoder: nn.Module, rate: float, new_rate: float, weight_decay: float
) -> torch.optim.AdamW:
    """AdamW for `model` with a rate of its own for the `encoder` inside it, and no decay of biases and norms."""
    groups = []
    inside = {id(p) for p in encoder.parameters()}
    for peak, is_encoder in ((rate, True), (new_rate, False)):
        for decay, decays in ((weight_decay, True), (0.0, False)):
            chosen = [p for p in model.parameters() if (id(p) in inside) == is_encoder and (p.ndim > 1) == decays]
            groups.append({"params": chosen, "lr": peak, "peak": peak, "weight_decay": decay})
    return torch.optim.AdamW(groups, fused=True)


def optimize(model: nn.Module, optimizer: torch.optim.AdamW, loss: Tensor, share: float, clip: float) -> None:
    """One step at `share` of the peak rates, the gradient's norm clipped. Raises Diverged for a loss that is not finite."""
    if not torch.isfinite(loss):
        raise Diverged("the loss is not finite; lower the rate")
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
