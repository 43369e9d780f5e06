"""Spelling a garment's labels one token at a time under the grammar: greedy, beam and sampled, free or guided (numpy).

The LSTM's distribution may be joined by the heads' (their weighted geometric mean): a token's head score is the
log-probability of its label plus that of every label it skips being absent.

Shapes in this module:
    N  hypotheses      V  tokens of the vocabulary      H  hidden units      R  numbers read of a photo      L  head logits
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from attributes.sequence import BEGIN, END, FIRST_LABEL, Grammar
from recognition.heads import HeadLayout

Floats = npt.NDArray[np.float32]


class Memory(NamedTuple):
    """What the LSTM remembers of N hypotheses: hidden and cell, both (N, H)."""

    hidden: Floats
    cell: Floats


class Speller(Protocol):
    """One step of the LSTM, whatever runs it."""

    n_hidden: int

    def step(self, tokens: npt.NDArray[np.int64], read: Floats, memory: Memory) -> tuple[Floats, Memory]:
        """tokens: (N,); read: (N, R).  Returns logits (N, V) and the next memory."""


@dataclass(frozen=True)
class Spelling:
    """One spelled sequence. tokens from BEGIN to END; logp in nats; each token's probability given those before."""

    tokens: tuple[int, ...]
    logp: float
    steps: tuple[float, ...]  # of tokens[1:]


class Words:
    """The grammar's masks and the heads' scores for the next token of one photo.

    biases: (n_labels,) nats for saying a label, by which precision is exchanged for recall.
    """

    def __init__(
        self, grammar: Grammar, heads: Floats | None = None, weight: float = 0.0, biases: Floats | None = None
    ) -> None:
        self.grammar = grammar
        self._biases = np.concatenate([np.zeros(FIRST_LABEL, np.float32), biases]) if biases is not None else None
        self.weight = weight if heads is not None else 0.0
        self._sums: dict[int, Floats] = {}
        if heads is not None:
            self._present, self._absent = HeadLayout(grammar.vocabulary).log_probabilities(heads)

    def next_logp(self, prefix: tuple[int, ...], logits: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
        """The allowed next tokens and their normalized log-probabilities.  logits: (V,) after `prefix`."""
        allowed = _allowed(self.grammar, *_place(self.grammar, prefix))
        logp = _log_softmax(logits[allowed])
        if self.weight:
            heads = _log_softmax(self._head_scores(prefix, allowed))
            logp = _log_softmax(np.asarray((logp + self.weight * heads) / (1 + self.weight), np.float32))
        if self._biases is not None:
            logp = _log_softmax(logp + self._biases[allowed])
        return allowed, logp

    def _head_scores(self, prefix: tuple[int, ...], allowed: npt.NDArray[np.int64]) -> Floats:
        """Log-probability of each allowed token's label and of all that it skips, by the heads."""
        if len(prefix) == 1:
            return np.asarray(self._present[allowed - FIRST_LABEL])
        starts, stops, single = _extents(self.grammar)
        skipped = self._skipped(prefix[1])
        last = prefix[-1] - FIRST_LABEL
        since = skipped[stops[last] if single[last] else last + 1]
        labels = np.where(allowed == END, 0, allowed - FIRST_LABEL)
        until = np.where(single[labels], starts[labels], labels)
        scores = skipped[until] - since + self._present[labels]
        return np.asarray(np.where(allowed == END, skipped[-1] - since, scores), np.float32)

    def _skipped(self, category_token: int) -> Floats:
        """Cumulated log-probability that the labels before each position are absent; (n_labels + 1,)."""
        if category_token not in self._sums:
            category = self.grammar.label(category_token)[1]
            starts, _, single = _extents(self.grammar)
            counted = _applicable(self.grammar, category) & (~single | (starts == np.arange(len(starts))))
            costs = np.where(counted, self._absent, 0).astype(np.float32)
            self._sums[category_token] = np.concatenate([[0], np.cumsum(costs)]).astype(np.float32)
        return self._sums[category_token]


def beam_search(
    speller: Speller, read: Floats, words: Words, width: int = 1, guide: int | None = None
) -> list[Spelling]:
    """Return up to `width` spellings, the likeliest first; width 1 is greedy.

    read: (R,).  guide: token of the category that is put in as the first symbol; it adds nothing to logp.
    """
    live = [_begun(guide)]
    done: list[Spelling] = []
    memory = _start(speller, read, live, guide)
    while live:
        logits, memory = _step(speller, read, live, memory)
        grown: list[tuple[Spelling, int]] = []
        for i, spelling in enumerate(live):
            tokens, logp = words.next_logp(spelling.tokens, logits[i])
            for j in np.argsort(-logp, kind="stable")[:width]:
                grown.append((_grown(spelling, int(tokens[j]), float(logp[j])), i))
        grown.sort(key=lambda g: -g[0].logp)
        kept = grown[:width]
        done += [s for s, _ in kept if s.tokens[-1] == END]
        going = [(s, i) for s, i in kept if s.tokens[-1] != END]
        if len(done) >= width:  # a hypothesis only ever loses probability: nothing live can overtake
            worst = sorted((s.logp for s in done), reverse=True)[width - 1]
            going = [(s, i) for s, i in going if s.logp > worst]
        live, parents = [s for s, _ in going], [i for _, i in going]
        memory = Memory(memory.hidden[parents], memory.cell[parents])
    return sorted(done, key=lambda s: -s.logp)[:width]


def sample(
    speller: Speller, read: Floats, words: Words, random: np.random.Generator, guide: int | None = None
) -> Spelling:
    """Draw one spelling from the model's distribution.  read: (R,)."""
    spelling = _begun(guide)
    memory = _start(speller, read, [spelling], guide)
    while spelling.tokens[-1] != END:
        logits, memory = _step(speller, read, [spelling], memory)
        tokens, logp = words.next_logp(spelling.tokens, logits[0])
        p = np.exp(logp.astype(np.float64))
        j = int(random.choice(len(tokens), p=p / p.sum()))
        spelling = _grown(spelling, int(tokens[j]), float(logp[j]))
    return spelling


def sequence_logp(speller: Speller, read: Floats, words: Words, tokens: list[int], guided: bool = False) -> float:
    """Log-probability in nats of a whole sequence (BEGIN to END); its category not counted when guided."""
    spelling = _begun(tokens[1] if guided else None)
    memory = _start(speller, read, [spelling], tokens[1] if guided else None)
    for token in tokens[len(spelling.tokens) :]:
        logits, memory = _step(speller, read, [spelling], memory)
        allowed, logp = words.next_logp(spelling.tokens, logits[0])
        spelling = _grown(spelling, token, float(logp[np.flatnonzero(allowed == token)[0]]))
    return spelling.logp


def category_logp(speller: Speller, read: Floats, words: Words) -> Floats:
    """Log-probability of every category as the first word; (n_categories,)."""
    logits, _ = _step(speller, read, [_begun(None)], _empty(speller, 1))
    return words.next_logp((BEGIN,), logits[0])[1]


def _begun(guide: int | None) -> Spelling:
    return Spelling((BEGIN,), 0.0, ()) if guide is None else Spelling((BEGIN, guide), 0.0, (1.0,))


def _empty(speller: Speller, n: int) -> Memory:
    return Memory(np.zeros((n, speller.n_hidden), np.float32), np.zeros((n, speller.n_hidden), np.float32))


def _start(speller: Speller, read: Floats, live: list[Spelling], guide: int | None) -> Memory:
    memory = _empty(speller, len(live))
    if guide is not None:  # the LSTM must have read BEGIN before the guide
        _, memory = speller.step(np.array([BEGIN]), read[None], memory)
    return memory


def _step(speller: Speller, read: Floats, live: list[Spelling], memory: Memory) -> tuple[Floats, Memory]:
    last = np.array([s.tokens[-1] for s in live], np.int64)
    return speller.step(last, np.repeat(read[None], len(live), 0), memory)


def _grown(spelling: Spelling, token: int, logp: float) -> Spelling:
    return Spelling((*spelling.tokens, token), spelling.logp + logp, (*spelling.steps, float(np.exp(logp))))


def _place(grammar: Grammar, prefix: tuple[int, ...]) -> tuple[int, int, int]:
    """All that the grammar needs of a prefix: its category, its last token, how many of the last one's group it has."""
    if len(prefix) == 1:
        return BEGIN, BEGIN, 0
    if len(prefix) == 2:
        return prefix[1], prefix[1], 0
    group = grammar.label(prefix[-1])[0]
    return prefix[1], prefix[-1], sum(grammar.label(t)[0] == group for t in prefix[2:])


@cache
def _allowed(grammar: Grammar, category: int, last: int, n_in_group: int) -> npt.NDArray[np.int64]:
    if last == BEGIN:
        return np.array(grammar.allowed([BEGIN]))
    if n_in_group == 0:
        return np.array(grammar.allowed([BEGIN, category]))
    return np.array(grammar.allowed([BEGIN, category, *[last] * n_in_group]))


@cache
def _extents(grammar: Grammar) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Per label: first label of its group, the one after its last, whether the group holds one value."""
    groups = [group for group, _ in grammar.vocabulary.labels]
    starts = np.array([groups.index(g) for g in groups])
    stops = np.array([groups.index(g) + groups.count(g) for g in groups])
    single = np.array([g == "category" or grammar.vocabulary.groups[g].max == 1 for g in groups])
    return starts, stops, single


@cache
def _applicable(grammar: Grammar, category: str) -> npt.NDArray[np.bool_]:
    return np.array([g != "category" and grammar.vocabulary.applies(g, category) for g, _ in grammar.vocabulary.labels])


def _log_softmax(scores: Floats) -> Floats:
    high = scores - scores.max()
    return np.asarray(high - np.log(np.exp(high).sum()), np.float32)
