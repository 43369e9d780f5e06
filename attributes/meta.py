"""What a seller's words name: "brown cardigan worn over a white dress" is a cardigan, and it is brown."""

import re
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from attributes.vocabulary import Group, Vocabulary

# Words after which a title speaks of something else than the product itself.
_TURNS = re.compile(
    r"\b(?:with|over|in|on|under|of|for|and|at|by|from|to|w|worn|plus|against|featuring|like)\b|[,;:()/|&+.!?]|\s[-–—]\s"
)
NOTHING = ""  # what a phrase stands for that hides the value inside it
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


class NamedCategory(NamedTuple):
    """A category that the words name, where they do (characters of the text), best first in a list."""

    category: str
    start: int
    end: int


def named_categories(vocabulary: Vocabulary, title: str, description: str = "") -> list[NamedCategory]:
    """Return the categories that a title (then a description) names, the likeliest first; [] when it names none.

    The first phrase that names any counts most, and in it the last name: the head of an English noun phrase stands last
    ("denim shirt dress" is a dress). The longest name wins where several overlap ("tank top"). Positions are in the
    title, or in the description for what only that names.
    """
    found: dict[str, NamedCategory] = {}
    for text in (title, description):
        lowered = _lowered(text)
        for start, end in _phrases(lowered):
            for mention in reversed(_mentions(vocabulary, lowered, start, end)):
                refined = _refined(vocabulary, mention, lowered)
                found.setdefault(refined.category, refined)
    return list(found.values())


class NamedValue(NamedTuple):
    """A value that the words give, and where (characters of the text). main: of the product, not of something on or by it."""

    group: str
    value: str
    start: int
    end: int
    main: bool


def named_values(vocabulary: Vocabulary, title: str, category: str | None = None) -> list[NamedValue]:
    """Return the attribute values that a title names, each once, the first mention of each in the order of the text.

    With a `category` only the groups that apply to it. Longer names win over shorter ones inside them ("light blue" is
    not blue) within a group, while one word may speak for several groups ("hoodie" is hooded and has a hood). In a group
    of one value the first is kept, and what stands after "with" counts where the product's own phrase is silent.
    """
    lowered = _lowered(title)
    found: dict[tuple[str, str], NamedValue] = {}
    for name, group in vocabulary.groups.items():
        if category is not None and not vocabulary.applies(name, category):
            continue
        names = _value_names(group)
        for i, (start, end) in enumerate(_phrases(lowered)):
            for value, at, to in _matches(lowered, start, end, names):
                n_held = sum(held == name for held, _ in found)
                if value != NOTHING and n_held < group.max:
                    found.setdefault((name, value), NamedValue(name, value, at, to, i == 0))
    return sorted(found.values(), key=lambda v: v.start)


def _lowered(text: str) -> str:
    lowered = text.lower().replace("’", "'")
    return lowered if len(lowered) == len(text) else text  # some capitals grow when lowered; positions would be off


def _phrases(text: str) -> list[tuple[int, int]]:
    starts = [0, *(m.end() for m in _TURNS.finditer(text))]
    ends = [*(m.start() for m in _TURNS.finditer(text)), len(text)]
    return list(zip(starts, ends, strict=True))


def _mentions(vocabulary: Vocabulary, text: str, start: int, end: int) -> list[NamedCategory]:
    """The names in text[start:end], from left to right, longest first where they overlap."""
    return [NamedCategory(*match) for match in _matches(text, start, end, _names(vocabulary))]


def _matches(text: str, start: int, end: int, names: Mapping[str, str]) -> list[tuple[str, int, int]]:
    """What the names in text[start:end] stand for and where they are, longest first where they overlap."""
    words = list(_WORD.finditer(text, start, end))
    matches, i = [], 0
    while i < len(words):
        for n in range(min(3, len(words) - i), 0, -1):
            meant = names.get(" ".join(w.group() for w in words[i : i + n]))
            if meant is not None:
                matches.append((meant, words[i].start(), words[i + n - 1].end()))
                i += n
                break
        else:
            i += 1
    return matches


def _refined(vocabulary: Vocabulary, mention: NamedCategory, text: str) -> NamedCategory:
    for category in vocabulary.categories.values():
        if mention.category in category.refines and any(word in text for word in category.refining_words):
            return mention._replace(category=category.name)
    return mention


@cache
def _names_of(names: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[str, str]:
    table: dict[str, str] = {}
    for category, said in names:
        for name in said:
            for form in _forms(name):
                table.setdefault(form, category)
    return table


def _names(vocabulary: Vocabulary) -> dict[str, str]:
    """Every form of every name; a category's own name beats another's synonym."""
    own = tuple((c.name, (c.name, c.plural)) for c in vocabulary.categories.values())
    synonyms = tuple((c.name, c.synonyms) for c in vocabulary.categories.values())
    return _names_of(own + synonyms)


@cache
def _named_values(values: tuple[tuple[str, tuple[str, ...]], ...]) -> dict[str, str]:
    table = {form: value for value, said in reversed(values) for name in said for form in _forms(name)}
    for _, said in values:
        for name in said:
            if name.startswith("-") and table.pop(name[1:], None) is None:  # a phrase that only holds such a word
                table |= dict.fromkeys(_forms(name[1:]), NOTHING)
    return table


def _value_names(group: Group) -> dict[str, str]:
    """Every form of every value's names; "solid" and the like, which nobody writes for it, do no harm."""
    return _named_values(tuple((value, (value, *group.synonyms.get(value, ()))) for value in group.values))


def _forms(name: str) -> list[str]:
    """A name, its regular plural, and both with spaces for hyphens."""
    plural = name + ("es" if name.endswith(("s", "x", "ch", "sh")) else "s")
    return [f for form in (name, plural) for f in (form, form.replace("-", " "))]
