"""Filters as people and programs write them: group=value, group!=value, group=a+b, price>=20.

Repeats of one group are alternatives, different groups must all hold, != excludes. A product without a label in a group
matches no = and every !=.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from attributes.vocabulary import UnknownAttribute, Vocabulary

_EXPRESSION = re.compile(r"\s*([\w-]+)\s*(!=|>=|<=|=)\s*(.*?)\s*", re.DOTALL)


class BadFilter(ValueError):
    """A filter expression that cannot be understood."""


@dataclass(frozen=True)
class Where:
    """All filters of a query. wanted: per group, alternatives, each the values a product must all have; unwanted: per group,
    the values it must not have; prices in whole cents, both ends included."""

    wanted: dict[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    unwanted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    price_from: int | None = None
    price_to: int | None = None

    def without(self, group: str) -> "Where":
        """The same without the filters on one group, which may be "price"."""
        if group == "price":
            return Where(self.wanted, self.unwanted)
        return Where(
            {g: v for g, v in self.wanted.items() if g != group},
            {g: v for g, v in self.unwanted.items() if g != group},
            self.price_from,
            self.price_to,
        )

    def with_category(self, category: str | None) -> "Where":
        """The same, in one category (unless None)."""
        if category is None:
            return self
        return Where({**self.wanted, "category": ((category,),)}, self.unwanted, self.price_from, self.price_to)

    def groups(self) -> list[str]:
        """The groups that are filtered on, "price" last."""
        named = list(dict.fromkeys([*self.wanted, *self.unwanted]))
        priced = self.price_from is not None or self.price_to is not None
        return named + ["price"] * priced

    def spelled(self, group: str) -> str:
        """The filters on one group as they are written."""
        if group == "price":
            ends = ((">=", self.price_from), ("<=", self.price_to))
            return " and ".join(f"price{sign}{_money(end)}" for sign, end in ends if end is not None)
        said = [f"{group}={'+'.join(values)}" for values in self.wanted.get(group, ())]
        return " or ".join(said) or " and ".join(f"{group}!={v}" for v in self.unwanted.get(group, ()))

    def expressions(self) -> list[str]:
        """All filters as expressions that parse back to this."""
        said = [f"{g}={'+'.join(values)}" for g, options in self.wanted.items() for values in options]
        said += [f"{g}!={v}" for g, values in self.unwanted.items() for v in values]
        said += [f"price>={_money(self.price_from)}"] if self.price_from is not None else []
        return said + ([f"price<={_money(self.price_to)}"] if self.price_to is not None else [])


def parse_where(expressions: Iterable[str], vocabulary: Vocabulary) -> Where:
    """Read filter expressions. Raises BadFilter, and UnknownAttribute for a group or value that is not there."""
    wanted: dict[str, tuple[tuple[str, ...], ...]] = {}
    unwanted: dict[str, tuple[str, ...]] = {}
    prices: dict[str, int] = {}
    for expression in expressions:
        group, sign, said = _split(expression)
        if group == "price":
            if sign not in (">=", "<="):
                raise BadFilter(f"a price is filtered with >= or <=, not {expression!r}")
            if sign in prices:
                raise BadFilter(f"there is more than one price{sign}")
            prices[sign] = _cents(said)
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
    return Where(wanted, unwanted, prices.get(">="), prices.get("<="))


def _split(expression: str) -> tuple[str, str, str]:
    read = _EXPRESSION.fullmatch(expression)
    if read is None or not read[3]:
        raise BadFilter(f"{expression!r} is not a filter; write group=value, group!=value, group=a+b or price>=20")
    return read[1], read[2], read[3]


def _cents(text: str) -> int:
    try:
        price = Decimal(text)
    except InvalidOperation as wrong:
        raise BadFilter(f"{text!r} is not a price") from wrong
    if not price.is_finite() or not 0 <= price < 10**12:
        raise BadFilter(f"{text!r} is not a price")
    return int(price * 100)


def _money(cents: int | None) -> str:
    return f"{Decimal(cents or 0) / 100:f}"


__all__ = ["BadFilter", "UnknownAttribute", "Where", "parse_where"]
