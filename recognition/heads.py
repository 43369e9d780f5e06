"""Which logit of the heads means what, and their log-probabilities in numpy.

Shapes in this module:
    L  logits: the categories, then per group its values, followed by "none" where a garment has at most one
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from attributes.labels import Labels
from attributes.vocabulary import Vocabulary

Floats = npt.NDArray[np.float32]


class Part(NamedTuple):
    """The logits [start, stop) of one group. exclusive: a softmax, whose last logit is "none" (not for category)."""

    group: str
    start: int
    stop: int
    exclusive: bool


@dataclass(frozen=True)
class HeadLayout:
    """Where each group's logits are."""

    vocabulary: Vocabulary

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """One part per group in vocabulary order, the category first."""
        parts = [Part("category", 0, len(self.vocabulary.categories), True)]
        for group in self.vocabulary.groups.values():
            start, single = parts[-1].stop, group.max == 1
            parts.append(Part(group.name, start, start + len(group.values) + single, single))
        return tuple(parts)

    @property
    def n_logits(self) -> int:
        """L."""
        return self.parts[-1].stop

    def targets(self, labels: Labels) -> Floats:
        """Labels as (L,) of 0 and 1; a group without a value is "none" or all zeros."""
        target = np.zeros(self.n_logits, np.float32)
        for part in self.parts:
            said = (labels.category,) if part.group == "category" else labels.values.get(part.group, ())
            values = self.vocabulary.values(part.group)
            for value in said:
                target[part.start + values.index(value)] = 1
            if part.exclusive and not said:
                target[part.stop - 1] = 1
        return target

    def log_probabilities(self, logits: Floats) -> tuple[Floats, Floats]:
        """Log-probability of each label, and of its group having no value (or no further one), both (n_labels,).

        For a group of several values a label's pair are its sigmoid and the complement. A category has no "none": 0.
        """
        present, absent = [], []
        for part in self.parts:
            ours = logits[part.start : part.stop].astype(np.float64)
            if part.exclusive:
                logp = ours - ours.max()
                logp -= np.log(np.exp(logp).sum())
                n_values = len(self.vocabulary.values(part.group))
                present.append(logp[:n_values])
                absent.append(np.full(n_values, 0.0 if part.group == "category" else logp[-1]))
            else:
                present.append(-np.logaddexp(0, -ours))
                absent.append(-np.logaddexp(0, ours))
        return np.concatenate(present).astype(np.float32), np.concatenate(absent).astype(np.float32)
