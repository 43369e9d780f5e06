"""What a product's labels are: per group the first source that speaks, and what each source says."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from django.db import transaction

from attributes.labels import canonical
from attributes.vocabulary import Vocabulary
from webapp.catalog.models import Label, Product, Source


class SaidLabel(NamedTuple):
    """A label that holds for a product, and who says so."""

    group: str
    value: str
    source: str
    confidence: float | None


def effective(labels: Iterable[Label], vocabulary: Vocabulary) -> list[SaidLabel]:
    """The labels that hold: per group merchandiser, else import, else model; in vocabulary order.

    A source that says "none" (an empty value) silences those after it. Groups that do not apply to the category are left
    out.
    """
    by_group: dict[str, list[Label]] = {}
    for label in labels:
        by_group.setdefault(label.group, []).append(label)
    category = next((s.value for s in _first(by_group.get("category", ()), ()) if s.value), None)
    held = []
    for group in ("category", *vocabulary.groups):
        if group != "category" and (category is None or not vocabulary.applies(group, category)):
            continue
        held += [s for s in _first(by_group.get(group, ()), vocabulary.values(group)) if s.value]
    return held


_BELIEVED = tuple(
    Source.values
)  # kept: a page asks hundreds of times, and an enumeration makes the list anew each time


def _first(labels: Sequence[Label], order: Sequence[str]) -> list[SaidLabel]:
    for source in _BELIEVED if labels else ():
        said = [SaidLabel(x.group, x.value, x.source, x.confidence) for x in labels if x.source == source]
        if said:
            return sorted(said, key=lambda s: order.index(s.value) if s.value in order else -1)
    return []


def said_by(product: Product, source: Source, group: str) -> list[str] | None:
    """The values that a source says, [] where it says "none", None where it is silent."""
    values = [x.value for x in product.labels.all() if x.source == source and x.group == group]
    return [v for v in values if v] if values else None


def say(product: Product, source: Source, said: Mapping[str, Sequence[str] | None]) -> None:
    """Replace what a source says in the groups named: values, [] for "none", None for silence."""
    with transaction.atomic():
        Label.objects.filter(product=product, source=source, group__in=list(said)).delete()
        Label.objects.bulk_create(
            Label(product=product, group=group, value=value, source=source)
            for group, values in said.items()
            if values is not None
            for value in (values or [""])
        )


def check(vocabulary: Vocabulary, group: str, values: Sequence[str]) -> None:
    """Raises UnknownAttribute for a group or value that is not there, or for too many values."""
    for value in values:
        vocabulary.check_value(group, value)
    if group == "category" and len(values) != 1:
        raise ValueError("a product has exactly one category")
    if group != "category" and values:
        owner = next(c for c in vocabulary.category_names if vocabulary.applies(group, c))
        canonical(vocabulary, owner, {group: list(values)})
