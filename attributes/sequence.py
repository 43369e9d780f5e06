"""A garment's labels as one canonical token sequence, back again, and the grammar of such sequences.

    BEGIN, category, values in vocabulary order, END            (SK Planet 2017, section 3.1: attributes as a sequence)

Shapes in this module:
    T  tokens of a sequence
    V  tokens of the vocabulary: BEGIN, END, then the labels of `Vocabulary.labels`
"""

from collections.abc import Sequence
from functools import cached_property

from attributes.labels import Labels
from attributes.vocabulary import Vocabulary

BEGIN = 0
END = 1
FIRST_LABEL = 2


class BadSequence(ValueError):
    """Tokens that the grammar does not allow."""


class Grammar:
    """Which token may follow which: first a category, then ever later values of the groups that apply to it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.n_tokens = FIRST_LABEL + len(vocabulary.labels)
        self._group_of = [""] * FIRST_LABEL + [group for group, _ in vocabulary.labels]

    @cached_property
    def categories(self) -> range:
        """The tokens of the categories."""
        return range(FIRST_LABEL, FIRST_LABEL + len(self.vocabulary.categories))

    @property
    def longest(self) -> int:
        """T of the longest sequence, BEGIN and END included."""
        return max(
            3 + sum(self.vocabulary.groups[g].max for g in c.groups) for c in self.vocabulary.categories.values()
        )

    def token(self, group: str, value: str) -> int:
        """The token of a label. Raises UnknownAttribute."""
        self.vocabulary.check_value(group, value)
        return FIRST_LABEL + self.vocabulary.label_ids[group, value]

    def label(self, token: int) -> tuple[str, str]:
        """The (group, value) of a label's token."""
        return self.vocabulary.labels[token - FIRST_LABEL]

    def allowed(self, prefix: Sequence[int]) -> list[int]:
        """The tokens that may follow `prefix` (which starts with BEGIN); none after END."""
        last = prefix[-1]
        if last == END:
            return []
        if last == BEGIN:
            return list(self.categories)
        category = self.label(prefix[1])[1]
        n_in_group = sum(self._group_of[t] == self._group_of[last] for t in prefix)
        full = last not in self.categories and n_in_group >= self.vocabulary.groups[self._group_of[last]].max
        following = []
        for token in range(max(last + 1, self.categories.stop), self.n_tokens):
            group = self._group_of[token]
            if self.vocabulary.applies(group, category) and not (full and group == self._group_of[last]):
                following.append(token)
        return [END, *following]


def encode(grammar: Grammar, labels: Labels) -> list[int]:
    """Spell `labels` as tokens: BEGIN, category, values in order, END.  Returns (T,)."""
    return [BEGIN, *(grammar.token(group, value) for group, value in labels.pairs()), END]


def decode(grammar: Grammar, tokens: Sequence[int]) -> Labels:
    """Read tokens back; END may be missing. Raises BadSequence for what the grammar does not allow."""
    if len(tokens) < 2 or tokens[0] != BEGIN:
        raise BadSequence(f"a sequence starts with BEGIN and a category, not {list(tokens[:2])}")
    for t in range(1, len(tokens)):
        if tokens[t] not in grammar.allowed(tokens[:t]):
            raise BadSequence(f"token {tokens[t]} may not follow {list(tokens[:t])}")
    values: dict[str, tuple[str, ...]] = {}
    for token in tokens[2:]:
        if token != END:
            group, value = grammar.label(token)
            values[group] = (*values.get(group, ()), value)
    return Labels(grammar.label(tokens[1])[1], values)
