"""A recognition network while it learns: its own losses, and those of what it learns only to see better.

Shapes in this module:
    B  photos      L  logits of the heads      T  tokens      V  tokens of the vocabulary      W  words of titles
    D  channels of all teachers' last maps together
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from recognition.distillation import Taught
from recognition.model import Batch, Losses, Mix, RecognitionModel, Seen

TAUGHT_SHARE = 0.7  # of the losses is learned from the teachers, the rest from the labels
FEATURES = 1.5  # nats per unit of 1 - cosine between what student and teachers pool
WORDS = 0.2  # of the nats of a title's words: some 20 at first, beside as many of the labels


class Learner(nn.Module):
    """A model with everything that only its training needs; teachers' activations and titles' words are read off linearly."""

    def __init__(self, model: RecognitionModel, n_words: int = 0, n_taught: int = 0) -> None:
        super().__init__()
        self.model = model
        self.words = nn.Linear(model.neck.n_read, n_words) if n_words else None
        self.project = nn.Linear(model.encoder.n_channels, n_taught) if n_taught else None

    def forward(self, batch: Batch, mix: Mix | None = None, taught: Taught | None = None) -> Losses:
        """The losses of a batch against labels, titles and teachers; (B,) each."""
        photos, places = mix.applied(batch) if mix else (batch.photos, batch.places)
        seen = self.model.see(photos, places)
        losses = self.model.mixed_losses(seen, batch.targets, mix)
        losses = losses if taught is None else self._taught(losses, seen, batch, taught)
        if self.words is None:
            return losses
        named = mix.blended(batch.targets.words) if mix else batch.targets.words
        nats = functional.binary_cross_entropy_with_logits(self.words(seen.read).float(), named, reduction="none")
        return losses._replace(besides=losses.besides + WORDS * nats.sum(1))

    def _taught(self, hard: Losses, seen: Seen, batch: Batch, taught: Taught) -> Losses:
        assert self.project is not None
        logp = self.model.token_logp(seen, batch.targets)
        sequence = -((taught.tokens * logp).sum(2) * batch.targets.counted).sum(1)
        heads = self.model.heads.loss(seen.heads, taught.heads)
        apart = 1 - functional.cosine_similarity(self.project(seen.pooled).float(), taught.pooled)
        return Losses(_share(hard.sequence, sequence), _share(hard.heads, heads), hard.besides + FEATURES * apart)


def _share(hard: Tensor, soft: Tensor) -> Tensor:
    return torch.lerp(hard, soft, TAUGHT_SHARE)
