"""What shoppers and programs ask: by photo, by words, by product, filtered, sorted and paged."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from django.db.models import F, Q

from attributes.labels import Box
from attributes.meta import named_categories
from attributes.vocabulary import Vocabulary
from search.engine import BadBox, Page, Seen
from search.query import Answer, Hit, Query
from search.where import Where
from webapp.catalog import engine as door
from webapp.catalog import photos
from webapp.catalog.labels import SaidLabel, effective
from webapp.catalog.models import Product, ShopperPhoto

N_SORTED = 240  # nearest products that another sort order of a photo's results rearranges
SORTS = {
    "": "best match first", "price": "cheapest first", "-price": "dearest first", "new": "newest first",
}  # fmt: skip


@dataclass(frozen=True)
class Wish:
    """Everything that was asked, whatever the face. `words` must all stand in the title."""

    photo: ShopperPhoto | None = None
    sku: str | None = None
    words: str = ""
    category: str | None = None
    box: Box | None = None
    where: Where = field(default_factory=Where)
    sort: str = ""
    page: Page = field(default_factory=Page)


class Result(NamedTuple):
    """One product to show, and why."""

    product: Product
    labels: list[SaidLabel]
    hit: Hit


class Found(NamedTuple):
    """The answer with its products. seen: what was made of the photo, if there was one."""

    answer: Answer
    results: list[Result]
    relaxed: list[Result]
    seen: Seen | None


def find(wish: Wish) -> Found:
    """Answer a wish. Raises GenerationGone, UnknownProduct, BadBox, UnknownAttribute, BadImage."""
    engine = door.engine()
    where = wish.where.with_category(wish.category)
    seen = see(wish.photo, wish.category, wish.box) if wish.photo else None
    if seen is not None and not wish.sort:
        answer = engine.search(seen, where, wish.page)
    elif wish.sku is not None and not wish.sort:
        answer = engine.similar(wish.sku, where, wish.page)
    else:
        answer = engine.index.search(
            Query(where=where, limit=wish.page.limit, offset=wish.page.offset, generation=wish.page.generation,
                  among=_sorted_skus(wish, seen, where))
        )  # fmt: skip
    if wish.words and not answer.total and not answer.relaxed:
        answer = replace(answer, relaxed=_without_words(wish, where))
    products = _products([h.sku for h in (*answer.hits, *answer.relaxed)])
    return Found(answer, _results(answer.hits, products), _results(answer.relaxed, products), seen)


def _without_words(wish: Wish, where: Where) -> list[Hit]:
    """What would be found if the words needed not stand in the title: words are no dead end."""
    nearest = door.engine().index.search(
        Query(where=where, limit=wish.page.limit, among=_sorted_skus(replace(wish, words=""), None, where))
    )
    return [h._replace(breaks=(f"words={wish.words}",)) for h in nearest.hits]


def see(photo: ShopperPhoto, category: str | None, box: Box | None) -> Seen:
    """What the models make of a shopper's photo; boxes, given and found, in pixels of the photo that was sent."""
    share = photos.kept_share(photo)
    seen = door.see(photo.id, lambda: photos.pixels(photo), category, _scaled(box, share))
    return replace(
        seen,
        garments=tuple(g._replace(box=_scaled(g.box, 1 / share) or g.box) for g in seen.garments),
        region=seen.region._replace(box=_scaled(seen.region.box, 1 / share)),
    )


def _scaled(box: Box | None, share: float) -> Box | None:
    return box if box is None or share == 1 else Box(*(c * share for c in box))


def _sorted_skus(wish: Wish, seen: Seen | None, where: Where) -> list[str] | None:
    """The skus to show in the order asked for; None lets the index order by sku."""
    products = Product.objects.on_sale()
    if seen is not None or wish.sku is not None:
        first = replace(wish, sort="", page=Page(limit=N_SORTED, generation=wish.page.generation))
        products = products.filter(sku__in=[r.product.sku for r in find(first).results])
    for word in wish.words.split():
        products = products.filter(Q(title__icontains=word) | Q(description__icontains=word))
    ordered = {
        "price": products.order_by(F("price").asc(nulls_last=True), "sku"),
        "-price": products.order_by(F("price").desc(nulls_last=True), "sku"),
    }.get(wish.sort, products.order_by("-created", "sku"))
    return list(ordered.values_list("sku", flat=True))


def _products(skus: Sequence[str]) -> dict[str, Product]:
    return {p.sku: p for p in Product.objects.filter(sku__in=skus).with_labels()}


def _results(hits: Sequence[Hit], products: dict[str, Product]) -> list[Result]:
    """Hits with their products; one deleted a moment ago is passed over."""
    words = door.vocabulary()
    return [
        Result(products[h.sku], effective(products[h.sku].labels.all(), words), h) for h in hits if h.sku in products
    ]


def read_words(text: str, vocabulary: Vocabulary) -> tuple[list[str], str]:
    """Turn typed words into filters and the words left over: "black leather bags" is three filters and nothing else."""
    named = named_categories(vocabulary, text)
    expressions, rest = [], text.lower()
    if named:
        expressions.append(f"category={named[0].category}")
        rest = rest[: named[0].start] + " " + rest[named[0].end :]
    values = sorted(((v, g.name) for g in vocabulary.groups.values() for v in g.values), key=lambda pair: -len(pair[0]))
    for value, group in values:
        spelled = "[- ]".join(re.escape(part) for part in value.split("-"))
        pattern = rf"(?<![\w-]){spelled}(?![\w-])"
        if (not named or vocabulary.applies(group, named[0].category)) and re.search(pattern, rest):
            expressions.append(f"{group}={value}")
            rest = re.sub(pattern, " ", rest)
    left = [w for w in re.findall(r"[\w'-]+", rest) if w not in _FILLERS]
    return expressions, " ".join(left)


_FILLERS = frozenset(["a", "an", "and", "the", "with", "for", "in", "of", "or", "to", "from", "my", "some"])


def parse_box(text: str) -> Box | None:
    """Read "x0,y0,x1,y1"; None when empty. Raises BadBox."""
    if not text:
        return None
    try:
        box = Box(*(float(c) for c in text.split(",")))
    except (TypeError, ValueError) as wrong:
        raise BadBox(f"a box is x0,y0,x1,y1 in pixels, not {text!r}") from wrong
    if not all(abs(c) < 1e6 for c in box) or not (box.x0 < box.x1 and box.y0 < box.y1):
        raise BadBox(f"the box {text!r} is not a rectangle")
    return box
