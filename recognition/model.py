"""The whole recognition network as it is trained: encoder, heads and spelling decoder.

Shapes in this module:
    B  photos      S  side of a squared crop      T  tokens      V  tokens of the vocabulary
    C  channels of the pooled activations         L  logits of the heads
"""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from attributes.sequence import Grammar
from attributes.vocabulary import Vocabulary
from recognition.backbones import make_encoder
from recognition.decoder import Decoder, DecoderSize, Heads


class Targets(NamedTuple):
    """What a batch should be read as. tokens: (B, T) from BEGIN, padded with END; allowed: (B, T-1, V) by the grammar;
    counted: (B, T-1), 0 for padding; heads: (B, L)."""

    tokens: Tensor
    allowed: Tensor
    counted: Tensor
    heads: Tensor


class Losses(NamedTuple):
    """Mean nats a photo: of the label sequence (the paper's loss), and of the heads."""

    sequence: Tensor
    heads: Tensor


class RecognitionModel(nn.Module):
    """Photo to words."""

    def __init__(
        self, vocabulary: Vocabulary, encoder: str, start: Path | None = None, size: DecoderSize | None = None
    ) -> None:
        super().__init__()
        self.encoder = make_encoder(encoder, start)
        self.heads = Heads(self.encoder.n_channels, vocabulary)
        self.decoder = Decoder(self.encoder.n_channels, Grammar(vocabulary).n_tokens, size or DecoderSize())

    def losses(self, photos: Tensor, targets: Targets) -> Losses:
        """photos: (B, 3, S, S) in [-1, 1].  The sequence's negative log-likelihood is taken after the grammar's mask."""
        pooled = self.encoder(photos).pooled
        logits = self.decoder(pooled, targets.tokens[:, :-1]).float()
        logp = functional.log_softmax(logits.masked_fill(~targets.allowed, -1e4), 2)
        picked = logp.gather(2, targets.tokens[:, 1:, None]).squeeze(2)
        sequence = -(picked * targets.counted).sum(1).mean()
        return Losses(sequence, self.heads.loss(self.heads(pooled).float(), targets.heads))


def n_parameters(model: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(p.numel() for p in model.parameters())


def channels_last(photos: Tensor) -> Tensor:
    """The memory layout in which CPUs convolve fastest."""
    return photos.contiguous(memory_format=torch.channels_last)
