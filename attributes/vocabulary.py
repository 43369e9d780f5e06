"""The vocabulary: categories, attribute groups, values, and which group applies to which category."""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

VOCABULARY_FILE = Path(__file__).with_name("vocabulary.toml")
WORDS_FILE = Path(__file__).with_name("words.toml")


class UnknownAttribute(ValueError):
    """A category, group or value that the vocabulary does not have."""


@dataclass(frozen=True)
class Group:
    """An attribute group: its values in order, and how many of them one garment may have."""

    name: str
    values: tuple[str, ...]
    max: int
    synonyms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of a value: what sellers call it besides


@dataclass(frozen=True)
class Category:
    """A kind of garment and the words that sellers use for it."""

    name: str
    plural: str
    family: str
    groups: tuple[str, ...]
    related: tuple[str, ...]
    synonyms: tuple[str, ...]
    refines: tuple[str, ...]
    refining_words: tuple[str, ...]


@dataclass(frozen=True)
class Vocabulary:
    """Everything that can be said of a garment. Ids are positions and stay stable: words are only ever appended."""

    groups: dict[str, Group]
    categories: dict[str, Category]

    @cached_property
    def category_names(self) -> tuple[str, ...]:
        """All categories; a category's id is its position."""
        return tuple(self.categories)

    @cached_property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """Every (group, value), `("category", name)` first; a label's id is its position."""
        return tuple(("category", name) for name in self.categories) + tuple(
            (group.name, value) for group in self.groups.values() for value in group.values
        )

    @cached_property
    def label_ids(self) -> dict[tuple[str, str], int]:
        """The id of each (group, value)."""
        return {label: i for i, label in enumerate(self.labels)}

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits over ids, values, order, maxima and applicability; synonyms do not enter."""
        said = {
            "groups": [[g.name, g.max, list(g.values)] for g in self.groups.values()],
            "categories": [[c.name, list(c.groups)] for c in self.categories.values()],
        }
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]

    def values(self, group: str) -> tuple[str, ...]:
        """The values of `group`, "category" being one. Raises UnknownAttribute."""
        if group == "category":
            return self.category_names
        if group not in self.groups:
            raise UnknownAttribute(f"no attribute group {group!r}; there are: category, {', '.join(self.groups)}")
        return self.groups[group].values

    def check_category(self, name: str) -> str:
        """Return `name`. Raises UnknownAttribute when there is no such category."""
        if name not in self.categories:
            raise UnknownAttribute(f"no category {name!r}; there are: {', '.join(self.categories)}")
        return name

    def check_value(self, group: str, value: str) -> str:
        """Return `value`. Raises UnknownAttribute when `group` has no such value."""
        if value not in self.values(group):
            raise UnknownAttribute(f"{group} has no value {value!r}; it has: {', '.join(self.values(group))}")
        return value

    def applies(self, group: str, category: str) -> bool:
        """Whether a garment of `category` can have a label in `group`."""
        return group in self.categories[category].groups


@cache
def load_vocabulary() -> Vocabulary:
    """Return the shop's vocabulary, read once from vocabulary.toml."""
    with VOCABULARY_FILE.open("rb") as file:
        read = tomllib.load(file)
    with WORDS_FILE.open("rb") as file:
        said = {group: {v: tuple(words) for v, words in values.items()} for group, values in tomllib.load(file).items()}
    groups = {name: Group(name, tuple(g["values"]), g["max"], said.get(name, {})) for name, g in read["groups"].items()}
    categories = {
        name: Category(
            name=name,
            plural=c["plural"],
            family=c["family"],
            groups=tuple(c["groups"]),
            related=tuple(c["related"]),
            synonyms=tuple(c["synonyms"]),
            refines=tuple(c.get("refines", {}).get("categories", ())),
            refining_words=tuple(c.get("refines", {}).get("words", ())),
        )
        for name, c in read["categories"].items()
    }
    return Vocabulary(groups, categories)
