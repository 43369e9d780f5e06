"""What better models teach: what they make of the very same changed photo that the student sees.

The soft targets are the teachers' label distributions (Hinton et al. 2015) and their pooled activations, on the same view
with the same mixing as the student sees (Beyer et al. 2022, function matching).

Shapes in this module:
    B  photos      S  side of a squared crop      T  tokens      V  tokens of the vocabulary      L  logits of the heads
    D  channels of all teachers' last maps together
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognition.model import Batch, Mix, RecognitionModel

TEACHER_SIDE = 160  # pixels that a teacher sees at least, however small the student's crops are


class Taught(NamedTuple):
    """What the teachers make of a batch. heads: (B, L) probabilities; tokens: (B, T-1, V) probabilities after the grammar's
    mask; pooled: (B, D)."""

    heads: Tensor
    tokens: Tensor
    pooled: Tensor


class Teachers(nn.Module):
    """Trained models whose probabilities are averaged; they learn nothing."""

    def __init__(self, models: Sequence[RecognitionModel]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models).requires_grad_(False).eval()
        self.n_channels = sum(model.encoder.n_channels for model in models)  # D

    def train(self, mode: bool = True) -> "Teachers":
        """Teachers stay as they are in evaluation."""
        return super().train(False)

    @torch.no_grad()
    def teach(self, batch: Batch, mix: Mix | None = None) -> Taught:
        """What they make of the batch as the student sees it."""
        photos, places = mix.applied(batch) if mix else (batch.photos, batch.places)
        if photos.shape[-1] < TEACHER_SIDE:
            photos = functional.interpolate(photos, (TEACHER_SIDE, TEACHER_SIDE), mode="bilinear")
        heads, tokens, pooled = [], [], []
        for model in self.models:
            assert isinstance(model, RecognitionModel)
            seen = model.see(photos, places)
            logits = model.decoder(seen.read, batch.targets.tokens[:, :-1]).float()
            heads.append(model.heads.probabilities(seen.heads))
            tokens.append(logits.masked_fill(~batch.targets.allowed, -1e4).softmax(2))
            pooled.append(functional.normalize(seen.pooled.float(), dim=1))
        return Taught(torch.stack(heads).mean(0), torch.stack(tokens).mean(0), torch.cat(pooled, 1))
