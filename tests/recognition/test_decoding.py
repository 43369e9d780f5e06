"""Spelling labels under the grammar, against slow ways of finding the same."""

from itertools import product

import numpy as np
import pytest

from attributes.sequence import BEGIN, END, FIRST_LABEL, Grammar
from attributes.vocabulary import Category, Group, Vocabulary
from recognition.decoding import Memory, Words, beam_search, category_logp, sample, sequence_logp
from recognition.heads import HeadLayout

SMALL = Vocabulary(
    {"colour": Group("colour", ("red", "blue", "green"), 2), "fit": Group("fit", ("slim", "loose"), 1)},
    {
        "dress": Category("dress", "dresses", "full-body", ("colour", "fit"), (), (), (), ()),
        "scarf": Category("scarf", "scarves", "accessory", ("colour",), (), (), (), ()),
    },
)
GRAMMAR = Grammar(SMALL)
CASES = list(product(range(6), (0.0, 0.7)))
POOLED = np.zeros(4, np.float32)


class RandomSpeller:
    """Logits that depend on the last token and on how many came before."""

    n_hidden = 1

    def __init__(self, seed: int) -> None:
        self.table = np.random.default_rng(seed).normal(0, 1.5, (12, GRAMMAR.n_tokens, GRAMMAR.n_tokens))

    def step(self, tokens: np.ndarray, read: np.ndarray, memory: Memory) -> tuple[np.ndarray, Memory]:
        age = memory.hidden[:, 0].astype(int)
        logits = np.stack([self.table[a, t] for a, t in zip(age, tokens, strict=True)]).astype(np.float32)
        return logits, Memory(memory.hidden + 1, memory.cell)


def all_sequences(prefix: tuple[int, ...] = (BEGIN,)) -> list[tuple[int, ...]]:
    if prefix[-1] == END:
        return [prefix]
    return [s for token in GRAMMAR.allowed(prefix) for s in all_sequences((*prefix, token))]


def words(seed: int, weight: float) -> Words:
    heads = np.random.default_rng(seed).normal(0, 2, HeadLayout(SMALL).n_logits).astype(np.float32)
    return Words(GRAMMAR, heads, weight)


@pytest.mark.parametrize(("seed", "weight"), CASES)
def test_probabilities_of_all_sequences_add_up_to_one(seed: int, weight: float) -> None:
    speller = RandomSpeller(seed)
    total = sum(np.exp(sequence_logp(speller, POOLED, words(seed, weight), list(s))) for s in all_sequences())
    assert total == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("seed", "weight"), CASES)
def test_a_wide_beam_finds_what_enumeration_finds(seed: int, weight: float) -> None:
    speller, spoken = RandomSpeller(seed), words(seed, weight)
    ranked = sorted(all_sequences(), key=lambda s: -sequence_logp(speller, POOLED, spoken, list(s)))
    found = beam_search(speller, POOLED, spoken, width=60)
    assert [s.tokens for s in found[:5]] == ranked[:5]
    assert found[0].logp == pytest.approx(sequence_logp(speller, POOLED, spoken, list(ranked[0])), abs=1e-4)


@pytest.mark.parametrize("seed", range(6))
def test_greedy_takes_the_best_token_at_every_step(seed: int) -> None:
    speller, spoken, tokens = RandomSpeller(seed), words(seed, 0), [BEGIN]
    while tokens[-1] != END:
        logits = speller.table[len(tokens) - 1, tokens[-1]]
        tokens.append(max(GRAMMAR.allowed(tokens), key=lambda t: logits[t]))
    assert list(beam_search(speller, POOLED, spoken)[0].tokens) == tokens


@pytest.mark.parametrize("seed", range(4))
def test_the_guide_is_the_first_symbol_and_adds_nothing(seed: int) -> None:
    guide = GRAMMAR.token("category", "scarf")
    (spelling, *_) = beam_search(RandomSpeller(seed), POOLED, words(seed, 0.5), 3, guide)
    assert spelling.tokens[1] == guide
    assert spelling.steps[0] == 1.0
    assert GRAMMAR.token("fit", "slim") not in spelling.tokens
    guided = sequence_logp(RandomSpeller(seed), POOLED, words(seed, 0.5), list(spelling.tokens), guided=True)
    assert spelling.logp == pytest.approx(guided, abs=1e-4)


def test_samples_follow_the_distribution() -> None:
    speller, spoken, random = RandomSpeller(1), words(1, 0), np.random.default_rng(0)
    n = 3000
    drawn = [sample(speller, POOLED, spoken, random).tokens for _ in range(n)]
    best = beam_search(speller, POOLED, spoken, 20)[0]
    assert drawn.count(best.tokens) / n == pytest.approx(np.exp(best.logp), abs=0.03)


def test_heads_alone_give_the_product_of_their_groups() -> None:
    """With a speller that knows nothing of order, two-step differences equal the heads' own."""
    spoken = words(3, 1.0)
    present, absent = HeadLayout(SMALL).log_probabilities(
        np.random.default_rng(3).normal(0, 2, HeadLayout(SMALL).n_logits).astype(np.float32)
    )
    ids = SMALL.label_ids
    scores = spoken._head_scores(
        (BEGIN, GRAMMAR.token("category", "dress")), np.array([END, FIRST_LABEL + ids["colour", "blue"]])
    )
    red, blue, green = (ids["colour", c] for c in ("red", "blue", "green"))
    nothing = absent[red] + absent[blue] + absent[green] + absent[ids["fit", "slim"]]
    np.testing.assert_allclose(scores, [nothing, absent[red] + present[blue]], rtol=1e-4)


def test_category_probabilities_add_up_to_one() -> None:
    assert np.exp(category_logp(RandomSpeller(0), POOLED, words(0, 0.5))).sum() == pytest.approx(1, abs=1e-5)
