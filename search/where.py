"""Filters as people and programs write them: group=value, group!=value, group=a+b, price>=20.

Repeats of one group are alternatives, different groups must all hold, != excludes. A product without a label in a group
matches no = and every !=.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from attributes.vocabulary import UnknownAttribute, Vocabulary

_EXPRESSION = re.compile(r"\s*([\w-]+)\s*(!=|>=|<=|=)\s*(.*?)\s*", re.DOTALL)


class BadFilter(ValueError):
    """A filter expression that cannot be understood."""


@dataclass(frozen=True)
class Where:
    """All filters of a query. wanted: per group, alternatives, each the values a product must all have; unwanted: per group,
    the values it must not have; ranges: per number ("price"), lowest and highest in whole hundredths, both included, None for
    no end."""

    wanted: dict[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    unwanted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ranges: dict[str, tuple[int | None, int | None]] = field(default_factory=dict)

    def without(self, group: str) -> "Where":
        """The same without the filters on one group, which may be a number."""
        return Where(
            {g: v for g, v in self.wanted.items() if g != group},
            {g: v for g, v in self.unwanted.items() if g != group},
            {g: v for g, v in self.ranges.items() if g != group},
        )

    def with_category(self, category: str | None) -> "Where":
        """The same, in one category (unless None)."""
        if category is None:
            return self
        return Where({**self.wanted, "category": ((category,),)}, self.unwanted, self.ranges)

    def groups(self) -> list[str]:
        """The groups that are filtered on, numbers last."""
        return list(dict.fromkeys([*self.wanted, *self.unwanted, *self.ranges]))

    def spelled(self, group: str) -> str:
        """The filters on one group as they are written."""
        if group in self.ranges:
            ends = zip((">=", "<="), self.ranges[group], strict=True)
            return " and ".join(f"{group}{sign}{_money(end)}" for sign, end in ends if end is not None)
        said = [f"{group}={'+'.join(values)}" for values in self.wanted.get(group, ())]
        return " or ".join(said) or " and ".join(f"{group}!={v}" for v in self.unwanted.get(group, ()))

    def expressions(self) -> list[str]:
        """All filters as expressions that parse back to this."""
        said = [f"{g}={'+'.join(values)}" for g, options in self.wanted.items() for values in options]
        said += [f"{g}!={v}" for g, values in self.unwanted.items() for v in values]
        for name, ends in self.ranges.items():
            said += [f"{name}{s}{_money(end)}" for s, end in zip((">=", "<="), ends, strict=True) if end is not None]
        return said


def parse_where(expressions: Iterable[str], vocabulary: Vocabulary, numbers: Sequence[str] = ("price",)) -> Where:
    """Read filter expressions. Raises BadFilter, and UnknownAttribute for a group or value that is not there.

    numbers: names that are filtered by >= and <=, with at most two decimals.
    """
    wanted: dict[str, tuple[tuple[str, ...], ...]] = {}
    unwanted: dict[str, tuple[str, ...]] = {}
    ends: dict[str, dict[str, int]] = {}
    for expression in expressions:
        group, sign, said = _split(expression)
        if group in numbers:
            if sign not in (">=", "<="):
                raise BadFilter(f"a {group} is filtered with >= or <=, not {expression!r}")
            if sign in ends.setdefault(group, {}):
                raise BadFilter(f"there is more than one {group}{sign}")
            ends[group][sign] = _cents(said, group)
            continue
        if sign not in ("=", "!="):
            raise BadFilter(f"{group} is filtered with = or !=, not {expression!r}")
        values = tuple(dict.fromkeys(v.strip() for v in said.split("+")))
        for value in values:
            vocabulary.check_value(group, value)
        if sign == "=":
            wanted[group] = tuple(dict.fromkeys((*wanted.get(group, ()), values)))
        elif len(values) > 1:
            raise BadFilter(f"{expression!r}: exclude one value at a time")
        else:
            unwanted[group] = tuple(dict.fromkeys((*unwanted.get(group, ()), *values)))
    return Where(wanted, unwanted, {name: (said.get(">="), said.get("<=")) for name, said in ends.items()})


def _split(expression: str) -> tuple[str, str, str]:
    read = _EXPRESSION.fullmatch(expression)
    if read is None or not read[3]:
        raise BadFilter(f"{expression!r} is not a filter; write group=value, group!=value, group=a+b or price>=20")
    return read[1], read[2], read[3]


def _cents(text: str, name: str) -> int:
    try:
        price = Decimal(text)
    except InvalidOperation as wrong:
        raise BadFilter(f"{text!r} is not a {name}") from wrong
    if not price.is_finite() or not 0 <= price < 10**12:
        raise BadFilter(f"{text!r} is not a {name}")
    return int(price * 100)


def _money(cents: int | None) -> str:
    return f"{Decimal(cents or 0) / 100:f}"


__all__ = ["BadFilter", "UnknownAttribute", "Where", "parse_where"]
