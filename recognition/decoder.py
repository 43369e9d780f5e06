"""The LSTM that spells a garment's labels, and the heads that read each group by itself (torch, for training).

Shapes in this module:
    B  photos      T  tokens of the longest sequence in the batch
    V  tokens      R  numbers read of a photo (neck.py)      H  hidden units
    L  logits of the heads: the categories, then per group its values and, where it holds one value, "none"
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

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

    def __init__(self, n_read: int, n_tokens: int, size: DecoderSize) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_tokens, size.n_embedding)
        self.photo = nn.Linear(n_read, size.n_hidden)
        self.cell = nn.LSTMCell(size.n_embedding + size.n_hidden, size.n_hidden)
        self.dropout = nn.Dropout(size.dropout)
        self.out = nn.Linear(size.n_hidden, n_tokens)

    def step(self, tokens: Tensor, photo: Tensor, state: State) -> tuple[Tensor, State]:
        """tokens: (B,); photo: (B, H) from `look`.  Returns logits (B, V) and the next state."""
        read = torch.cat([self.embedding(tokens), photo], 1)
        hidden, cell = self.cell(read, (state.hidden, state.cell))
        return self.out(self.dropout(hidden)), State(hidden, cell)

    def token_gates(self) -> Tensor:
        """What every token adds to the gates, (V, 4 H): an LSTM's input enters linearly and can be added up beforehand."""
        return self.embedding.weight @ self.cell.weight_ih[:, : self.embedding.embedding_dim].T

    def photo_gates(self, photo: Tensor) -> Tensor:
        """What the photo adds to the gates in every step, (B, H) to (B, 4 H)."""
        columns = self.cell.weight_ih[:, self.embedding.embedding_dim :]
        return functional.linear(photo, columns, self.cell.bias_ih + self.cell.bias_hh)

    def step_from_gates(self, gates: Tensor, state: State) -> tuple[Tensor, State]:
        """The step of `step` from its added gates, (B, 4 H), for serving: the photo's part is computed once."""
        into, forget, new, out = (gates + state.hidden @ self.cell.weight_hh.T).chunk(4, 1)
        cell = forget.sigmoid() * state.cell + into.sigmoid() * new.tanh()
        hidden = out.sigmoid() * cell.tanh()
        return self.out(hidden), State(hidden, cell)

    def look(self, read: Tensor) -> Tensor:
        """(B, R) to what every step sees of the photo, (B, H)."""
        return functional.relu(self.photo(self.dropout(read)))

    def forward(self, read: Tensor, tokens: Tensor) -> Tensor:
        """Teacher forcing.  read: (B, R); tokens: (B, T) from BEGIN on.  Returns (B, T, V) logits of what follows."""
        photo = self.look(read)
        state = State(torch.zeros_like(photo), torch.zeros_like(photo))
        logits = []
        for t in range(tokens.shape[1]):
            now, state = self.step(tokens[:, t], photo, state)
            logits.append(now)
        return torch.stack(logits, 1)


class Heads(nn.Module):
    """One linear layer that reads every group by itself; gives the encoder gradients and marginal probabilities."""

    def __init__(self, n_read: int, layout: HeadLayout) -> None:
        super().__init__()
        self.layout = layout
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(n_read, self.layout.n_logits)

    def forward(self, read: Tensor) -> Tensor:
        """(B, R) to (B, L) logits."""
        return torch.as_tensor(self.out(self.dropout(read)))

    def probabilities(self, logits: Tensor) -> Tensor:
        """(B, L) logits to probabilities: a softmax or sigmoids per group."""
        parts = [(p.exclusive, logits[:, p.start : p.stop].float()) for p in self.layout.parts]
        return torch.cat([part.softmax(1) if exclusive else part.sigmoid() for exclusive, part in parts], 1)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Summed nats of every photo, (B,).  logits, targets: (B, L), 0 to 1; every softmax's sum to 1."""
        total = logits.new_zeros(len(logits))
        for part in self.layout.parts:
            ours, true = logits[:, part.start : part.stop], targets[:, part.start : part.stop]
            if part.exclusive:
                total = total - (functional.log_softmax(ours, 1) * true).sum(1)
            else:
                total = total + functional.binary_cross_entropy_with_logits(ours, true, reduction="none").sum(1)
        return total
