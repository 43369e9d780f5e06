"""Answers in the words and shapes of a page: chips, facets, outlines on the photo, one line of why."""

from collections.abc import Sequence
from typing import NamedTuple

from django.urls import reverse

from attributes.labels import Box
from attributes.vocabulary import Vocabulary
from detection.guidance import Origin, is_scene
from search.engine import Seen
from search.query import Why
from webapp.catalog.labels import SaidLabel
from webapp.catalog.models import Product, ShopperPhoto
from webapp.catalog.shopping import SORTS, Found, Result
from webapp.storefront.address import Address

CLOSE_COLOUR = 0.3  # colour part of the distance up to which a shopper calls it the same colour
SAME_REGION = 0.9  # IoU from which the region looked at is a garment's own outline; addresses carry whole pixels

# How values are said to people, where it is not the value itself.
SAID = {
    "women": "women's", "men": "men's", "kids": "children's", "solid": "plain", "short-sleeve": "short sleeves",
    "long-sleeve": "long sleeves", "elbow-sleeve": "elbow sleeves", "strap": "straps", "woven-cotton": "cotton",
    "regular": "regular fit", "slim": "slim fit", "loose": "loose fit", "hip": "hip length", "knee": "knee length",
    "thigh": "thigh length", "waist": "waist length", "pleated-fit": "pleated", "ankle": "ankle length",
}  # fmt: skip
HEADINGS = {"colour": "Colour", "audience": "For", "shoe-type": "Kind of shoe", "bag-type": "Kind of bag",
            "hat-type": "Kind of hat", "sleeve-length": "Sleeves"}  # fmt: skip


def said(value: str) -> str:
    """A value as people say it."""
    return SAID.get(value, value.replace("-", " ") if value != "t-shirt" else value)


def heading(group: str) -> str:
    """A group's heading."""
    return HEADINGS.get(group, group.replace("-", " ").capitalize())


class Link(NamedTuple):
    """A word that can be tapped."""

    text: str
    href: str
    on: bool = False
    note: str = ""
    n: int = 0


class Outline(NamedTuple):
    """A garment on the photo, in per cent of its sides."""

    text: str
    href: str
    x: int
    y: int
    w: int
    h: int
    on: bool


class Tile(NamedTuple):
    """A product in a list."""

    product: Product
    why: str
    breaks: str
    similar: str


class Facet(NamedTuple):
    """A group of filters with counts."""

    heading: str
    links: list[Link]
    open: bool


class ResultsPage(NamedTuple):
    """Everything that a results page shows."""

    address: Address
    headline: str
    notice: str
    categories: list[Link]
    chips: list[Link]
    outlines: list[Outline]
    facets: list[Facet]
    sorts: list[Link]
    tiles: list[Tile]
    almost: list[Tile]
    total: int
    more: str
    clear: str
    region: str
    price_from: str
    price_to: str


def present(
    found: Found, address: Address, vocabulary: Vocabulary, photo: ShopperPhoto | None = None, about: str = ""
) -> ResultsPage:
    """Make a page of an answer.  about: what it is about where there is no photo."""
    seen = found.seen
    total = found.answer.total
    ends = {w[:7]: w[7:] for w in address.where if w.startswith("price")}
    return ResultsPage(
        address=address,
        headline=_headline(total, address, vocabulary, about),
        notice=_notice(seen, address, vocabulary) if seen else "",
        categories=_categories(seen, address) if seen else [],
        chips=_chips(seen, address, vocabulary),
        outlines=_outlines(seen, address, photo) if seen and photo else [],
        facets=_facets(found, address, vocabulary),
        sorts=[Link(text, address.sorted_by(key), key == address.sort) for key, text in SORTS.items()],
        tiles=[_tile(r, vocabulary) for r in found.results],
        almost=[_tile(r, vocabulary) for r in found.relaxed],
        total=total,
        more=address.with_more() if total > len(found.results) >= address.n else "",
        clear=address.filters_cleared() if address.where or address.words or address.category else "",
        region=_region(seen, photo) if seen and photo else "",
        price_from=ends.get("price>=", ""),
        price_to=ends.get("price<=", ""),
    )


def _headline(total: int, address: Address, vocabulary: Vocabulary, about: str) -> str:
    chosen = [label for group, label in vocabulary.labels if f"{group}={label}" in address.where]
    category = address.category or next((v for v in chosen if v in vocabulary.categories), "")
    words = [said(v) for v in chosen if v != category]
    noun = vocabulary.categories[category].plural if category in vocabulary.categories else "products"
    if total == 1 and noun == "products":
        noun = "product"
    described = " ".join([*words, noun])
    named = f" with “{address.words}”" if address.words else ""
    if total and not words and not category and not named:
        return f"{total:,} {noun}{about}, nearest first"
    return f"{total:,} {described}{named}{about}" if total else f"No {described}{named}{about} yet"


def _notice(seen: Seen, address: Address, vocabulary: Vocabulary) -> str:
    """What the shopper should know of the region, when it is not the one asked for."""
    if not address.category or seen.region.origin in (Origin.GUIDE, Origin.DRAWN):
        return ""
    if seen.region.origin is Origin.RELATED:
        return f"No {address.category} stands out in this photo, so we looked at the {seen.region.category}."
    if not is_scene(seen.garments):
        return ""  # a photo of one garment is looked at as a whole anyway
    return f"No {address.category} stands out in this photo, so we looked at all of it."


def _categories(seen: Seen, address: Address) -> list[Link]:
    """What was read, and its runners-up to tap: the model errs, so the shopper may choose."""
    read = seen.reading.category
    names = dict.fromkeys([read, *(c.value for c in seen.reading.categories[:4])])
    return [
        Link(name, address.looking_for("" if name == address.category else name), name == (address.category or read))
        for name in list(names)[:4]
    ]


def _chips(seen: Seen | None, address: Address, vocabulary: Vocabulary) -> list[Link]:
    """What was read, in sentence order, and the filters that are on; a tap switches one."""
    chips = {}
    for label in seen.reading.read[1:] if seen else ():
        expression = f"{label.group}={label.value}"
        note = f"{round(label.confidence * 100)} % sure"
        chips[expression] = Link(said(label.value), address.toggled(expression), expression in address.where, note)
    for expression in address.where:
        if expression not in chips:
            chips[expression] = Link(_spoken(expression), address.toggled(expression), True)
    return list(chips.values())


def _spoken(expression: str) -> str:
    for sign, word in (("!=", "not "), (">=", "from "), ("<=", "up to "), ("=", "")):
        _, found, value = expression.partition(sign)
        if found:
            return word + " and ".join(said(v) for v in value.split("+"))
    return expression


def _outlines(seen: Seen, address: Address, photo: ShopperPhoto) -> list[Outline]:
    """The garments found, and the region looked at where that is none of them: drawn, or too faint to be offered."""
    region = seen.region.box
    outlines = [_outline(g.category, g.box, region, address, photo) for g in seen.garments]
    if region is not None and not any(o.on for o in outlines):
        drawn = seen.region.origin is Origin.DRAWN
        outlines.append(_outline("your frame" if drawn else seen.region.category or "", region, region, address, photo))
    return outlines


def _outline(text: str, box: Box, region: Box | None, address: Address, photo: ShopperPhoto) -> Outline:
    x0, y0, x1, y1 = box
    return Outline(
        text, address.looking_at(box.text(0)),
        round(100 * x0 / photo.width), round(100 * y0 / photo.height),
        max(1, round(100 * (x1 - x0) / photo.width)), max(1, round(100 * (y1 - y0) / photo.height)),
        region is not None and box.iou(region) > SAME_REGION,
    )  # fmt: skip


def _region(seen: Seen, photo: ShopperPhoto) -> str:
    box = seen.region.box
    return box.text(0) if box else f"0,0,{photo.width},{photo.height}"


def _facets(found: Found, address: Address, vocabulary: Vocabulary) -> list[Facet]:
    facets = []
    for group, counts in found.answer.facets.items():
        active = {w for w in address.where if w.startswith((f"{group}=", f"{group}!="))}
        if not active and not any(counts.values()):
            continue
        links = []
        for value, n in counts.items():
            expression = f"{group}={value}"
            on = expression in address.where or (group == "category" and value == address.category)
            href = (
                address.looking_for("")
                if group == "category" and value == address.category
                else address.toggled(expression)
            )
            links.append(Link(said(value), href, on, "", n))
        facets.append(Facet(heading(group), links, bool(active) or group in ("category", "colour")))
    return facets


def _tile(result: Result, vocabulary: Vocabulary) -> Tile:
    breaks = "; ".join(_break(b, result) for b in result.hit.breaks)
    return Tile(result.product, why_line(result.hit.why, vocabulary), breaks, similar_to(result.product, result.labels))


def similar_to(product: Product, labels: Sequence[SaidLabel]) -> str:
    """The address of what looks like a product, in its own category: a filter that shows and can be taken off."""
    category = tuple(f"category={s.value}" for s in labels if s.group == "category")
    return str(Address(reverse("similar", args=[product.sku]), where=category))


def _break(expression: str, result: Result) -> str:
    """What differs on a near miss: what the product has instead."""
    if expression.startswith("words="):
        return f"without “{expression.removeprefix('words=')}”"
    group = expression.split("=", maxsplit=1)[0].rstrip("!<>").split(" ")[0]
    if group == "price":
        return f"costs {result.product.price}" if result.product.price is not None else "has no price"
    has = [said(s.value) for s in result.labels if s.group == group]
    return " and ".join(has) if has else f"no {heading(group).lower()} known"


def why_line(why: Why | None, vocabulary: Vocabulary) -> str:
    """One line of why: what is the same, then what is not."""
    if why is None:
        return ""
    same = ["same colours"] if why.colour <= CLOSE_COLOUR else []
    same += _values(why.shared, vocabulary, skipped=("category", "audience", "colour"))[: 4 - len(same)]
    other = _values(why.missing, vocabulary, skipped=("audience",))[:2]
    parts = [", ".join(same)] if same else []
    return "; ".join(parts + ([f"not {' or '.join(other)}"] if other else []))


def _values(ids: Sequence[int], vocabulary: Vocabulary, skipped: Sequence[str]) -> list[str]:
    pairs = [vocabulary.labels[i] for i in ids]
    return [said(value) for group, value in pairs if group not in skipped and value != "solid"]
