"""The LSTM that spells a garment's labels, and the heads that read each group by itself (torch, for training).

Shapes in this module:
    B  photos      T  tokens of the longest sequence in the batch
    V  tokens      C  channels of the pooled activations      H  hidden units
    L  logits of the heads: the categories, then per group its values and, where it holds one value, "none"
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from attributes.vocabulary import Vocabulary
from recognition.heads import HeadLayout


@dataclass(frozen=True)
class DecoderSize:
    """Sizes of the decoder."""

    n_hidden: int = 384
    n_embedding: int = 128
    dropout: float = 0.3


class State(NamedTuple):
    """The LSTM's memory, both (B, H)."""

    hidden: Tensor
    cell: Tensor


class Decoder(nn.Module):
    """An LSTM cell that reads the last token and, at every step, the photo."""

    def __init__(self, n_channels: int, n_tokens: int, size: DecoderSize) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, size.n_embedding)
        self.photo = nn.Linear(n_channels, size.n_hidden)
        self.cell = nn.LSTMCell(size.n_embedding + size.n_hidden, size.n_hidden)
        self.dropout = nn.Dropout(size.dropout)
        self.out = nn.Linear(size.n_hidden, n_tokens)

    def step(self, tokens: Tensor, photo: Tensor, state: State) -> tuple[Tensor, State]:
        """tokens: (B,); photo: (B, H) from `look`.  Returns logits (B, V) and the next state."""
        read = torch.cat([self.embedding(tokens), photo], 1)
        hidden, cell = self.cell(read, (state.hidden, state.cell))
        return self.out(self.dropout(hidden)), State(hidden, cell)

    def look(self, pooled: Tensor) -> Tensor:
        """(B, C) to what every step sees of the photo, (B, H)."""
        return functional.relu(self.photo(self.dropout(pooled)))

    def forward(self, pooled: Tensor, tokens: Tensor) -> Tensor:
        """Teacher forcing.  pooled: (B, C); tokens: (B, T) from BEGIN on.  Returns (B, T, V) logits of what follows."""
        photo = self.look(pooled)
        state = State(torch.zeros_like(photo), torch.zeros_like(photo))
        logits = []
        for t in range(tokens.shape[1]):
            now, state = self.step(tokens[:, t], photo, state)
            logits.append(now)
        return torch.stack(logits, 1)


class Heads(nn.Module):
    """One linear layer that reads every group by itself; gives the encoder gradients and marginal probabilities."""

    def __init__(self, n_channels: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.layout = HeadLayout(vocabulary)
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(n_channels, self.layout.n_logits)

    def forward(self, pooled: Tensor) -> Tensor:
        """(B, C) to (B, L) logits."""
        return torch.as_tensor(self.out(self.dropout(pooled)))

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Mean over photos of the summed nats.  logits, targets: (B, L), targets 0 or 1 with one 1 per softmax."""
        total = logits.new_zeros(())
        for part in self.layout.parts:
            ours, true = logits[:, part.start : part.stop], targets[:, part.start : part.stop]
            if part.exclusive:
                total = total - (functional.log_softmax(ours, 1) * true).sum(1).mean()
            else:
                total = total + functional.binary_cross_entropy_with_logits(ours, true, reduction="none").sum(1).mean()
        return total
