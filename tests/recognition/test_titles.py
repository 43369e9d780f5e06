"""Words of titles as targets."""

import numpy as np

from recognition.titles import TitleWords


def test_only_words_that_enough_titles_have_are_learned() -> None:
    words = TitleWords(["Red parka", "red, RED skirt", "Blue parka 2019"], at_least=2)
    assert words.words == ("parka", "red")


def test_every_title_is_told_which_of_them_it_has() -> None:
    words = TitleWords(["lace-up boots", "lace-up boots", "lace top", "lace top"], at_least=2)
    assert words.words == ("boots", "lace", "lace-up", "top")
    named = words.named(["Lace-up sandals", "top with lace", ""])
    assert named.tolist() == [[False, False, True, False], [False, True, False, True], [False] * 4]


def test_without_titles_there_is_nothing_to_learn() -> None:
    assert len(TitleWords()) == 0
    assert TitleWords().named(["red parka"]).shape == (1, 0)
    assert TitleWords().named([]).dtype == np.bool_
