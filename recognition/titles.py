"""The words of sellers' titles as something to learn besides the labels: they say more kinds of things than the labels do.

A "sweatshirt" and a "parka", "pinstripe" and "patent", seen often enough, teach an encoder differences that 24 categories
leave out. Nothing of it is in the exported model.

Shapes in this module:
    N  titles      W  words
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

AT_LEAST = 16  # titles that have a word, for it to be learned
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


def _words(title: str) -> set[str]:
    return set(_WORD.findall(title.lower()))


class TitleWords:
    """The words that enough of the training titles have; without titles there are none."""

    def __init__(self, titles: Sequence[str] = (), at_least: int = AT_LEAST) -> None:
        counts = Counter(word for title in titles for word in _words(title))
        self.words = tuple(sorted(word for word, n in counts.items() if n >= at_least))

    def __len__(self) -> int:
        return len(self.words)

    def named(self, titles: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which words each title has, (N, W)."""
        return np.array([[word in said for word in self.words] for said in map(_words, titles)], np.bool_).reshape(
            len(titles), len(self)
        )
