"""What tests share: the vocabulary, drawn data folders, and a shop of drawn garments with the models that ship."""

from pathlib import Path

import pytest

from attributes.sequence import Grammar
from attributes.vocabulary import Vocabulary, load_vocabulary
from recognition.drawn_folder import write_drawn_folder


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    return load_vocabulary()


@pytest.fixture(scope="session")
def grammar(vocabulary: Vocabulary) -> Grammar:
    return Grammar(vocabulary)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory, vocabulary: Vocabulary) -> Path:
    """A data folder of drawn garments, every fifth of split val."""
    folder = tmp_path_factory.mktemp("drawn")
    write_drawn_folder(folder, vocabulary, n_garments=480, n_scenes=20, side=96)
    return folder
