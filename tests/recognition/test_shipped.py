"""The weights that ship: they open, they read, and their cards say what a card must say."""

from pathlib import Path

import pytest

from attributes.labels import read_garments
from attributes.vocabulary import Vocabulary
from detection.detector import WEIGHTS as DETECTORS
from recognition.cards import read_card
from recognition.evaluate import judge
from recognition.recognizer import WEIGHTS, Recognizer

CARDS = sorted([*WEIGHTS.glob("*.toml"), *DETECTORS.glob("*.toml")])
TOLD = ("data", "command", "seed", "machine", "preprocessing", "start", "weak", "not_for", "fingerprint")


@pytest.mark.parametrize("name", ["mobilenet", "resception"])
def test_a_shipped_recognizer_reads_drawn_garments_it_never_saw(name: str, drawn: Path, vocabulary: Vocabulary) -> None:
    judged = judge(Recognizer.load(name), [g for g in read_garments(drawn, vocabulary, "val") if g.box is None][:40])
    right = sum(one.free.category == one.garment.labels.category for one in judged)
    assert right / len(judged) > 3 / len(vocabulary.categories)  # three times what guessing gives


@pytest.mark.parametrize("card", CARDS, ids=lambda file: file.stem)
def test_a_card_tells_how_the_weights_came_how_good_they_are_and_what_they_are_not_for(card: Path) -> None:
    told = read_card(card)
    assert [key for key in TOLD if not told.text.get(key)] == []
    assert "val" in told.metrics
    assert "CC0" in told.text["data"] or "Apache-2.0" in told.text["data"]
