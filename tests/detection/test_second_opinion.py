"""Two models agree on what was found."""

from dataclasses import dataclass

import numpy as np
import pytest

from attributes.labels import Box
from attributes.vocabulary import Vocabulary
from detection.guidance import Found
from detection.second_opinion import LEAST, N_REGIONS, WEIGHT, second_opinion
from recognition.looks import Look, Looks

PHOTO = np.zeros((100, 100, 3), np.uint8)


def looks() -> Looks:
    """Looks at a photo whose encoder sees nothing in it."""
    nothing = np.zeros(1, np.float32)
    return Looks(PHOTO, (8, 8), False, lambda squares, places: [Look(*[nothing] * 4) for _ in squares])


@dataclass
class SureOfCoats:
    """A recognizer that reads a coat everywhere, and counts what it was shown."""

    vocabulary: Vocabulary
    n_shown: int = 0

    def category_probabilities(self, seen: list[Look]) -> np.ndarray:
        self.n_shown += len(seen)
        read = np.full((len(seen), 24), 0.01, np.float32)
        read[:, self.vocabulary.category_names.index("coat")] = 0.77
        return read


def test_the_class_that_both_see_comes_first(vocabulary: Vocabulary) -> None:
    box = Box(10, 10, 60, 90)
    found = [Found("dress", 0.5, box), Found("coat", 0.4, box)]
    judged = second_opinion(SureOfCoats(vocabulary), looks(), found)
    assert [f.category for f in judged] == ["coat", "dress"]
    assert judged[0].score == pytest.approx(0.4 ** (1 - WEIGHT) * 0.77**WEIGHT, rel=1e-4)
    assert {f.box for f in judged} == {box}


def test_detections_of_one_region_share_one_look(vocabulary: Vocabulary) -> None:
    recognizer = SureOfCoats(vocabulary)
    second_opinion(
        recognizer, looks(), [Found("coat", 0.5, Box(10, 10, 60, 90)), Found("jacket", 0.4, Box(10, 10, 60, 89))]
    )
    assert recognizer.n_shown == 1


def test_only_so_many_regions_are_looked_at_and_the_rest_stays_behind(vocabulary: Vocabulary) -> None:
    recognizer = SureOfCoats(vocabulary)
    apart = [Found("coat", 0.9 - i / 50, Box(i * 5, 0, i * 5 + 3, 3)) for i in range(18)]
    judged = second_opinion(recognizer, looks(), apart)
    assert recognizer.n_shown == N_REGIONS
    assert [f.box for f in judged[N_REGIONS:]] == [f.box for f in apart[N_REGIONS:]]


def test_what_is_hardly_there_costs_nothing(vocabulary: Vocabulary) -> None:
    recognizer = SureOfCoats(vocabulary)
    weak = [Found("hat", LEAST / 2, Box(0, 0, 9, 9))]
    assert second_opinion(recognizer, looks(), weak) == weak
    assert second_opinion(recognizer, looks(), []) == []
    assert recognizer.n_shown == 0
