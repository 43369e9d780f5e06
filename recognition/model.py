"""The whole recognition network as it is trained: encoder, neck, heads and spelling decoder.

Shapes in this module:
    B  photos      S  side of a squared crop      T  tokens      V  tokens of the vocabulary
    C, M  channels of the last and the middle map      R  numbers read of a crop      L  logits of the heads
    W  words of titles that are learned besides
"""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from attributes.sequence import Grammar
from attributes.vocabulary import Vocabulary
from recognition.backbones import Encoder, make_encoder
from recognition.decoder import Decoder, DecoderSize, Heads
from recognition.heads import HeadLayout
from recognition.neck import Neck


class Targets(NamedTuple):
    """What a batch should be read as. tokens: (B, T) from BEGIN, padded with END; allowed: (B, T-1, V) by the grammar;
    counted: (B, T-1), 0 for padding; heads: (B, L); words: (B, W), those of the title, with no column but in training."""

    tokens: Tensor
    allowed: Tensor
    counted: Tensor
    heads: Tensor
    words: Tensor


class Batch(NamedTuple):
    """Squared crops (B, 3, S, S) in [-1, 1], where they are in their photos (B, N_PLACE), and what they are."""

    photos: Tensor
    places: Tensor
    targets: Targets


class Mix(NamedTuple):
    """Mixup (Zhang et al. 2018): every photo keeps `share` of itself and takes the rest from the one at `order`, (B,)."""

    order: Tensor
    share: float

    def applied(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The mixed photos and places."""
        return self.blended(batch.photos), self.blended(batch.places)

    def blended(self, rows: Tensor) -> Tensor:
        """(B, ...) of every photo, each with its share of the other's."""
        return self.share * rows + (1 - self.share) * rows[self.order]


class Losses(NamedTuple):
    """Nats of every photo, each (B,): of the label sequence (the paper's loss), of the heads, and of what is learned
    only to see better."""

    sequence: Tensor
    heads: Tensor
    besides: Tensor


class Seen(NamedTuple):
    """What the network saw. pooled: (B, C); middle: (B, M); read: (B, R); heads: (B, L) logits."""

    pooled: Tensor
    middle: Tensor
    read: Tensor
    heads: Tensor


class RecognitionModel(nn.Module):
    """Photo to words."""

    def __init__(
        self, vocabulary: Vocabulary, encoder: str | Encoder, start: Path | None = None, size: DecoderSize | None = None
    ) -> None:
        super().__init__()
        self.encoder = make_encoder(encoder, start) if isinstance(encoder, str) else encoder
        n_channels, n_middle = self.encoder.n_channels, self.encoder.n_middle
        layout = HeadLayout(vocabulary)
        self.neck = Neck(n_channels, n_middle, layout)
        self.heads = Heads(self.neck.n_read, layout)
        self.decoder = Decoder(self.neck.n_read, Grammar(vocabulary).n_tokens, size or DecoderSize())

    def see(self, photos: Tensor, places: Tensor) -> Seen:
        """photos: (B, 3, S, S) in [-1, 1]; places: (B, N_PLACE)."""
        middle, last = self.encoder.maps(photos)
        read, added = self.neck(photos, places, middle, last)
        return Seen(last.mean((2, 3)), middle.mean((2, 3)), read, self.heads(read).float() + added)

    def forward(self, batch: Batch, mix: Mix | None = None) -> Losses:
        """The losses of a batch, of mixed photos against both of their labels."""
        photos, places = mix.applied(batch) if mix else (batch.photos, batch.places)
        return self.mixed_losses(self.see(photos, places), batch.targets, mix)

    def mixed_losses(self, seen: Seen, targets: Targets, mix: Mix | None) -> Losses:
        """What was seen of photos, mixed or not, against their labels."""
        own = self.losses(seen, targets)
        if mix is None:
            return own
        other = self.losses(seen, Targets(*(t[mix.order] for t in targets)))
        return Losses(*(mix.share * a + (1 - mix.share) * b for a, b in zip(own, other, strict=True)))

    def losses(self, seen: Seen, targets: Targets) -> Losses:
        """What was seen against what it should be read as; the sequence's likelihood is taken after the grammar's mask."""
        logp = self.token_logp(seen, targets)
        picked = logp.gather(2, targets.tokens[:, 1:, None]).squeeze(2)
        sequence = -(picked * targets.counted).sum(1)
        return Losses(sequence, self.heads.loss(seen.heads, targets.heads), torch.zeros_like(sequence))

    def token_logp(self, seen: Seen, targets: Targets) -> Tensor:
        """Log-probability of every token after the grammar's mask, given those before it, (B, T-1, V)."""
        logits = self.decoder(seen.read, targets.tokens[:, :-1]).float()
        return functional.log_softmax(logits.masked_fill(~targets.allowed, -1e4), 2)


def n_parameters(model: nn.Module) -> int:
    """How many numbers are learned."""
    return sum(p.numel() for p in model.parameters())


def channels_last(photos: Tensor) -> Tensor:
    """The memory layout in which CPUs convolve fastest."""
    return photos.contiguous(memory_format=torch.channels_last)
