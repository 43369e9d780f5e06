"""The state of a results page as its address: every link is this state with one thing changed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.http import QueryDict

STEP = 24  # results shown at first, and added by "show more"
MOST = 960


@dataclass(frozen=True)
class Address:
    """Path and parameters of a results page."""

    path: str
    category: str = ""
    box: str = ""
    where: tuple[str, ...] = ()
    words: str = ""
    sort: str = ""
    n: int = STEP

    @classmethod
    def read(cls, path: str, query: QueryDict) -> "Address":
        """Read a page's own address; what is not understood here is checked by the rooms below."""
        n = query.get("n", "")
        prices = [f"price{sign}{query[name]}" for name, sign in (("from", ">="), ("to", "<=")) if query.get(name)]
        where = [w for w in query.getlist("where") if w and not (prices and w.startswith("price"))]
        return cls(
            path,
            query.get("category", ""),
            query.get("box", ""),
            tuple(dict.fromkeys(where + prices)),
            query.get("words", ""),
            query.get("sort", ""),
            min(MOST, max(STEP, int(n))) if n.isdecimal() and len(n) < 6 else STEP,
        )

    def __str__(self) -> str:
        n = [("n", str(self.n))] if self.n != STEP else []
        pairs = self.pairs + [("where", w) for w in self.where if w.startswith("price")] + n
        return self.path + (f"?{urlencode(pairs)}" if pairs else "")

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The parameters, all but price and number: what the form of the prices carries along."""
        named = {"category": self.category, "box": self.box, "words": self.words, "sort": self.sort}
        kept = [("where", w) for w in self.where if not w.startswith("price")]
        return [(k, v) for k, v in named.items() if v] + kept

    def toggled(self, expression: str) -> str:
        """The address with a filter switched on, or off."""
        kept = tuple(w for w in self.where if w != expression)
        return str(replace(self, where=kept if expression in self.where else (*kept, expression), n=STEP))

    def without(self, expressions: Sequence[str]) -> str:
        """The address without these filters."""
        return str(replace(self, where=tuple(w for w in self.where if w not in expressions), n=STEP))

    def looking_for(self, category: str) -> str:
        """The address with a category chosen (option 2), or with none."""
        return str(replace(self, category=category, box="", n=STEP))

    def looking_at(self, box: str) -> str:
        """The address with a region chosen (option 3)."""
        return str(replace(self, box=box, category="", n=STEP))

    def sorted_by(self, sort: str) -> str:
        """The address in another order."""
        return str(replace(self, sort=sort, n=STEP))

    def with_more(self) -> str:
        """The address with more results."""
        return str(replace(self, n=min(MOST, self.n + STEP)))

    def filters_cleared(self) -> str:
        """The address without any filter."""
        return str(replace(self, where=(), words="", category="", n=STEP))
