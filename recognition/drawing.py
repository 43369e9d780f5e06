"""Garments that the project draws itself: what tests train on, and the demo shop where no photos can be had.

A drawing is a silhouette of its category, with sleeves, neckline, closure, colours and pattern from the vocabulary, so that
there is something to learn. Coordinates are shares of the garment's own square, y downwards.

Shapes in this module:
    S  side of the drawing in pixels
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from attributes.labels import Box, LabeledBox, Labels, canonical
from attributes.vocabulary import Vocabulary
from recognition.images import Pixels

Point = tuple[float, float]
Polygon = Sequence[Point]
Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "black": (32, 32, 36), "white": (243, 243, 240), "grey": (140, 142, 146), "beige": (214, 196, 166),
    "brown": (110, 72, 46), "red": (200, 36, 42), "burgundy": (110, 24, 44), "pink": (236, 150, 178),
    "orange": (236, 126, 40), "yellow": (242, 206, 64), "green": (46, 128, 74), "khaki": (124, 122, 82),
    "turquoise": (64, 184, 184), "light-blue": (150, 194, 230), "blue": (44, 92, 190), "navy": (30, 40, 84),
    "purple": (116, 64, 152),
}  # fmt: skip
PATTERNS = ("solid", "striped", "checked", "dotted")
SKIN: Sequence[Colour] = ((236, 204, 180), (198, 150, 116), (120, 80, 58))
LENGTHS = {"cropped": 0.5, "waist": 0.62, "hip": 0.74, "thigh": 0.88, "mini": 0.62, "knee": 0.78, "midi": 0.88,
           "maxi": 0.98, "ankle": 0.95}  # fmt: skip
SLEEVES = {"sleeveless": 0.0, "strap": 0.0, "short-sleeve": 0.28, "elbow-sleeve": 0.45, "long-sleeve": 0.8}


@dataclass(frozen=True)
class Drawing:
    """A drawn garment. pixels: (S, S, 3); box round it; mask: (S, S) uint8, 255 inside."""

    pixels: Pixels
    mask: Pixels
    box: Box
    labels: Labels
    title: str


@dataclass(frozen=True)
class _Kind:
    """What varies within a category: values to draw from, per group."""

    shape: str
    values: dict[str, tuple[str, ...]]


_UPPER_LENGTHS = ("waist", "hip")
KINDS: dict[str, _Kind] = {
    "t-shirt": _Kind("upper", {"sleeve-length": ("short-sleeve",), "neckline": ("crew-neck", "v-neck"), "length": _UPPER_LENGTHS}),
    "longsleeve": _Kind("upper", {"sleeve-length": ("long-sleeve",), "neckline": ("crew-neck", "v-neck"), "length": _UPPER_LENGTHS}),
    "polo": _Kind("upper", {"sleeve-length": ("short-sleeve",), "neckline": ("polo-collar",), "closure": ("buttoned",), "length": ("hip",)}),
    "shirt": _Kind("upper", {"sleeve-length": ("short-sleeve", "long-sleeve"), "neckline": ("shirt-collar",), "closure": ("buttoned",), "length": ("hip",)}),
    "blouse": _Kind("upper", {"sleeve-length": ("elbow-sleeve",), "neckline": ("v-neck", "boat-neck"), "length": ("waist",), "fit": ("loose",)}),
    "top": _Kind("upper", {"sleeve-length": ("strap", "sleeveless"), "neckline": ("scoop-neck", "v-neck"), "length": ("cropped", "waist")}),
    "sweater": _Kind("upper", {"sleeve-length": ("long-sleeve",), "neckline": ("turtleneck", "crew-neck"), "length": _UPPER_LENGTHS, "material": ("knit",)}),
    "hoodie": _Kind("upper", {"sleeve-length": ("long-sleeve",), "neckline": ("hooded",), "closure": ("zipped", "pullover"), "length": ("hip",)}),
    "cardigan": _Kind("upper", {"sleeve-length": ("long-sleeve",), "neckline": ("v-neck",), "closure": ("buttoned", "open-front"), "length": ("hip",), "material": ("knit",)}),
    "vest": _Kind("upper", {"sleeve-length": ("sleeveless",), "neckline": ("v-neck",), "closure": ("buttoned", "zipped"), "length": ("waist",)}),
    "blazer": _Kind("upper", {"sleeve-length": ("long-sleeve",), "neckline": ("lapel",), "closure": ("buttoned",), "length": ("hip",)}),
    "jacket": _Kind("upper", {"sleeve-length": ("long-sleeve",), "neckline": ("stand-collar",), "closure": ("zipped",), "length": ("waist",)}),
    "coat": _Kind("upper", {"sleeve-length": ("long-sleeve",), "neckline": ("lapel",), "closure": ("double-breasted", "buttoned"), "length": ("knee", "midi")}),
    "dress": _Kind("dress", {"sleeve-length": ("strap", "sleeveless", "short-sleeve"), "neckline": ("scoop-neck", "v-neck"), "length": ("knee", "midi", "maxi"), "fit": ("a-line",)}),
    "jumpsuit": _Kind("jumpsuit", {"sleeve-length": ("strap", "short-sleeve"), "neckline": ("scoop-neck",), "length": ("ankle",)}),
    "skirt": _Kind("skirt", {"length": ("mini", "knee", "midi"), "fit": ("a-line", "pencil")}),
    "pants": _Kind("legs", {"length": ("ankle",), "fit": ("regular", "wide-leg")}),
    "jeans": _Kind("legs", {"length": ("ankle",), "fit": ("slim",), "material": ("denim",)}),
    "leggings": _Kind("legs", {"length": ("ankle",), "fit": ("skinny",)}),
    "shorts": _Kind("legs", {"length": ("thigh",), "fit": ("regular",)}),
    "shoes": _Kind("shoe", {"shoe-type": ("sneaker", "ankle-boot", "pump")}),
    "bag": _Kind("bag", {"bag-type": ("handbag", "tote", "backpack")}),
    "hat": _Kind("hat", {"hat-type": ("cap", "beanie", "brimmed-hat")}),
    "scarf": _Kind("scarf", {"detail": ("fringe",)}),
}  # fmt: skip
UPPERS = ("t-shirt", "longsleeve", "shirt", "sweater", "hoodie", "cardigan", "blazer", "jacket")
LOWERS = ("skirt", "pants", "jeans", "shorts")


def draw_garment(vocabulary: Vocabulary, seed: int, category: str | None = None, side: int = 320) -> Drawing:
    """Draw one garment on a plain background. The same arguments draw the same garment.

    category: drawn by chance when not given.
    """
    chance = random.Random(seed)
    category = category or chance.choice(list(KINDS))
    labels = _invented(vocabulary, category, chance)
    mask = _silhouette(labels, side)
    background = chance.choice(((236, 234, 230), (222, 226, 230), (246, 246, 246), (208, 204, 198)))
    canvas = Image.new("RGB", (side, side), background)
    shadow = mask.filter(ImageFilter.GaussianBlur(side / 40))
    canvas.paste(tuple(int(c * 0.8) for c in background), (side // 60, side // 60), shadow)
    canvas.paste(_cloth(labels, side, chance), (0, 0), mask)
    _draw_details(canvas, labels, side)
    pixels = np.asarray(canvas).astype(np.int16)
    grain = np.random.default_rng(seed).integers(-6, 7, pixels.shape)
    box = mask.getbbox() or (0, 0, side, side)
    return Drawing(
        np.clip(pixels + grain, 0, 255).astype(np.uint8), np.asarray(mask), Box(*box), labels, _title(labels)
    )


def draw_scene(
    vocabulary: Vocabulary, seed: int, width: int = 256, height: int = 384
) -> tuple[Pixels, list[LabeledBox]]:
    """Draw a person who wears an upper and a lower garment or a dress, shoes, perhaps a hat and a bag.

    Returns (height, width, 3) and the box of every garment.
    """
    chance = random.Random(seed)
    canvas = Image.new("RGB", (width, height), chance.choice(((186, 196, 204), (204, 200, 188), (170, 176, 168))))
    pen = ImageDraw.Draw(canvas)
    middle, head, skin = width * chance.uniform(0.42, 0.58), height * 0.09, chance.choice(SKIN)
    pen.rectangle((middle - head * 0.8, height * 0.5, middle + head * 0.8, height * 0.92), fill=skin)
    pen.ellipse((middle - head * 0.7, head * 0.5, middle + head * 0.7, head * 2.3), fill=skin)
    if chance.random() < 0.3:
        worn = [("dress", 0.2, 0.55)]
    else:
        worn = [(chance.choice(LOWERS), 0.46, 0.46), (chance.choice(UPPERS), 0.19, 0.42)]
    worn.append(("shoes", 0.86, 0.13))
    worn += [("hat", 0.0, 0.14)] * (chance.random() < 0.4) + [("bag", 0.45, 0.2)] * (chance.random() < 0.4)
    boxes = []
    for category, top, tall in worn:
        drawing = draw_garment(vocabulary, chance.randrange(2**30), category, int(height * tall))
        left = middle - drawing.pixels.shape[1] / 2 + (width * 0.27 if category == "bag" else 0)
        at = int(left), int(height * top)
        canvas.paste(Image.fromarray(drawing.pixels), at, Image.fromarray(drawing.mask))
        box = Box(*(c + at[i % 2] for i, c in enumerate(drawing.box)))
        boxes.append(LabeledBox(Box(max(box.x0, 0), max(box.y0, 0), min(box.x1, width), min(box.y1, height)), category))
    return np.asarray(canvas), boxes


def _invented(vocabulary: Vocabulary, category: str, chance: random.Random) -> Labels:
    kind = KINDS[category]
    values = {group: [chance.choice(options)] for group, options in kind.values.items()}
    values["pattern"] = [chance.choice(PATTERNS)]
    two = values["pattern"] != ["solid"]
    if category == "jeans":
        values["colour"], values["pattern"] = [chance.choice(("blue", "navy", "light-blue"))], ["solid"]
    else:
        values["colour"] = chance.sample(list(COLOURS), 2 if two else 1)
    return canonical(vocabulary, category, values)


def _title(labels: Labels) -> str:
    colours = " and ".join(labels.values["colour"]).replace("-", " ")
    said = [v for g in ("pattern", "sleeve-length") for v in labels.values.get(g, ()) if v not in ("solid", "strap")]
    kind = (labels.values.get("bag-type") or labels.values.get("hat-type") or (labels.category,))[0]
    kind = {"brimmed-hat": "brimmed hat", "longsleeve": "longsleeve"}.get(kind, kind)
    if labels.category == "shoes":
        kind = labels.values["shoe-type"][0].replace("-", " ") + "s"
    if labels.category == "longsleeve":
        said = [s for s in said if s != "long-sleeve"]
    return " ".join([colours, *said, kind]).capitalize()


def _silhouette(labels: Labels, side: int) -> Image.Image:
    """The garment's outline as a mask, drawn at twice the size and shrunk."""
    mask = Image.new("L", (side * 2, side * 2), 0)
    pen = ImageDraw.Draw(mask)
    for polygon in _SHAPES[KINDS[labels.category].shape](labels):
        pen.polygon([(x * side * 2, y * side * 2) for x, y in polygon], fill=255)
    neck = labels.values.get("neckline", ("",))[0]
    depth = {"v-neck": 0.16, "scoop-neck": 0.13, "crew-neck": 0.06, "boat-neck": 0.035, "lapel": 0.2}.get(neck, 0.0)
    if depth:
        half = 0.15 if neck == "boat-neck" else 0.08
        cut = [(0.5 - half, 0.0), (0.5 + half, 0.0), (0.5 + half, 0.12), (0.5, 0.12 + depth), (0.5 - half, 0.12)]
        if neck in ("crew-neck", "scoop-neck", "boat-neck"):
            corners = (0.5 - half, 0.12 - depth, 0.5 + half, 0.12 + depth)
            pen.ellipse(tuple(c * side * 2 for c in corners), fill=0)
        else:
            pen.polygon([(x * side * 2, y * side * 2) for x, y in cut], fill=0)
    return mask.resize((side, side), Image.Resampling.LANCZOS)


def _upper(labels: Labels, flare: float = 0.0) -> list[Polygon]:
    bottom = LENGTHS[labels.values["length"][0]]
    wide = {"loose": 0.03, "oversized": 0.05}.get(labels.values.get("fit", ("",))[0], 0.0)
    hem = 0.2 + wide + flare
    body = [(0.34, 0.12), (0.66, 0.12), (0.71 + wide, 0.2), (0.69 + wide, 0.45), (0.5 + hem, bottom),
            (0.5 - hem, bottom), (0.31 - wide, 0.45), (0.29 - wide, 0.2)]  # fmt: skip
    polygons: list[Polygon] = [body]
    sleeve = labels.values["sleeve-length"][0]
    if sleeve == "strap":
        polygons = [[(0.34, 0.24), (0.66, 0.24), *body[3:7]], [(0.36, 0.12), (0.4, 0.12), (0.4, 0.26), (0.36, 0.26)],
                    [(0.6, 0.12), (0.64, 0.12), (0.64, 0.26), (0.6, 0.26)]]  # fmt: skip
    long = SLEEVES[sleeve]
    if long:
        for s in (-1, 1):
            x, y = 0.5 + s * (0.2 + 0.28 * long), 0.16 + 0.6 * long
            polygons.append([(0.5 + s * 0.16, 0.12), (0.5 + s * 0.23, 0.17), (x + s * 0.05, y), (x - s * 0.06, y + 0.03),
                             (0.5 + s * 0.18, 0.34)])  # fmt: skip
    neck = labels.values.get("neckline", ("",))[0]
    if neck in ("turtleneck", "stand-collar", "polo-collar", "shirt-collar"):
        polygons.append([(0.41, 0.05), (0.59, 0.05), (0.61, 0.14), (0.39, 0.14)])
    if neck == "hooded":
        polygons.append([(0.36, 0.14), (0.38, 0.03), (0.5, 0.0), (0.62, 0.03), (0.64, 0.14)])
    return polygons


def _dress(labels: Labels) -> list[Polygon]:
    return _upper(labels, flare=0.1)


def _legs_from(top: float, labels: Labels) -> list[Polygon]:
    fit = labels.values.get("fit", ("regular",))[0]
    half = {"wide-leg": 0.15, "regular": 0.11, "slim": 0.085, "skinny": 0.06}.get(fit, 0.1)
    bottom = 0.5 if labels.category == "shorts" else 0.97
    polygons: list[Polygon] = [[(0.34, top), (0.66, top), (0.7, top + 0.28), (0.3, top + 0.28)]]
    for s in (-1, 1):
        knee = 0.5 + s * 0.13
        polygons.append(
            [(0.5, top + 0.24), (0.5 + s * 0.2, top + 0.24), (knee + s * half, bottom), (knee - s * half * 0.8, bottom)]
        )
    return polygons


def _legs(labels: Labels) -> list[Polygon]:
    return _legs_from(0.04, labels)


def _jumpsuit(labels: Labels) -> list[Polygon]:
    upper = Labels(labels.category, {**labels.values, "length": ("cropped",)})
    return [*_upper(upper), *_legs_from(0.42, labels)]


def _skirt(labels: Labels) -> list[Polygon]:
    bottom = LENGTHS[labels.values["length"][0]]
    hem = 0.34 if labels.values["fit"][0] == "a-line" else 0.19
    return [[(0.36, 0.06), (0.64, 0.06), (0.5 + hem, bottom), (0.5 - hem, bottom)]]


def _shoe(labels: Labels) -> list[Polygon]:
    kind = labels.values["shoe-type"][0]
    ankle = {"sneaker": 0.42, "ankle-boot": 0.16, "pump": 0.5}[kind]
    upper = [(0.1, ankle), (0.36, ankle), (0.44, 0.56), (0.86, 0.66), (0.94, 0.76), (0.94, 0.8), (0.1, 0.8)]
    sole = (
        [(0.1, 0.8), (0.24, 0.8), (0.2, 0.96), (0.13, 0.96)]
        if kind == "pump"
        else [(0.08, 0.78), (0.95, 0.78), (0.95, 0.86), (0.08, 0.86)]
    )
    return [upper, sole]


def _bag(labels: Labels) -> list[Polygon]:
    kind = labels.values["bag-type"][0]
    if kind == "backpack":
        return [
            [(0.24, 0.3), (0.34, 0.12), (0.66, 0.12), (0.76, 0.3), (0.78, 0.92), (0.22, 0.92)],
            [(0.44, 0.04), (0.56, 0.04), (0.56, 0.14), (0.44, 0.14)],
        ]
    top = 0.34 if kind == "tote" else 0.48
    handle = [(0.3, top), (0.36, 0.1), (0.64, 0.1), (0.7, top), (0.66, top), (0.61, 0.14), (0.39, 0.14), (0.34, top)]
    return [[(0.12, top), (0.88, top), (0.92, 0.94), (0.08, 0.94)], handle]


def _hat(labels: Labels) -> list[Polygon]:
    kind = labels.values["hat-type"][0]
    dome = [(0.22, 0.7), (0.24, 0.4), (0.36, 0.2), (0.64, 0.2), (0.76, 0.4), (0.78, 0.7)]
    brim = {
        "cap": [(0.2, 0.64), (0.98, 0.72), (0.96, 0.8), (0.2, 0.76)],
        "brimmed-hat": [(0.02, 0.68), (0.98, 0.68), (0.9, 0.8), (0.1, 0.8)],
        "beanie": [(0.2, 0.66), (0.8, 0.66), (0.8, 0.84), (0.2, 0.84)],
    }[kind]
    return [dome, brim]


def _scarf(labels: Labels) -> list[Polygon]:
    fringe = [[(0.54 + i * 0.03, 0.88), (0.555 + i * 0.03, 0.88), (0.55 + i * 0.03, 0.98)] for i in range(6)]
    return [
        [(0.2, 0.06), (0.8, 0.06), (0.84, 0.3), (0.16, 0.3)],
        [(0.52, 0.2), (0.74, 0.2), (0.72, 0.9), (0.52, 0.9)],
        *fringe,
    ]


_SHAPES = {"upper": _upper, "dress": _dress, "legs": _legs, "jumpsuit": _jumpsuit, "skirt": _skirt, "shoe": _shoe,
           "bag": _bag, "hat": _hat, "scarf": _scarf}  # fmt: skip


def _cloth(labels: Labels, side: int, chance: random.Random) -> Image.Image:
    """The pattern in the garment's colours, darker towards the sides as if round."""
    colours = [COLOURS[c] for c in labels.values["colour"]]
    first, second = colours[0], colours[-1]
    cloth = Image.new("RGB", (side, side), first)
    pen = ImageDraw.Draw(cloth)
    step = max(4, int(side * chance.uniform(0.05, 0.08)))
    pattern = labels.values["pattern"][0]
    if pattern in ("striped", "checked"):
        for y in range(0, side, step):
            pen.rectangle((0, y, side, y + step // 2 - 1), fill=second)
    if pattern == "checked":
        for x in range(0, side, step):
            pen.rectangle(
                (x, 0, x + step // 3, side), fill=tuple((a + b) // 2 for a, b in zip(first, second, strict=True))
            )
    if pattern == "dotted":
        for row, y in enumerate(range(0, side, step)):
            for x in range(-(row % 2) * step // 2, side, step):
                pen.ellipse((x, y, x + step * 0.45, y + step * 0.45), fill=second)
    across = np.linspace(-1, 1, side)
    light = Image.fromarray(np.tile((255 * (1 - 0.22 * across**2)).astype(np.uint8), (side, 1)))
    return ImageChops.multiply(cloth, Image.merge("RGB", [light] * 3))


def _draw_details(canvas: Image.Image, labels: Labels, side: int) -> None:
    """Seams of the closure, collar and lapels, in a colour that shows on the cloth."""
    pen = ImageDraw.Draw(canvas)
    base = COLOURS[labels.values["colour"][0]]
    ink = (225, 225, 225) if sum(base) < 330 else (60, 60, 64)
    bottom = LENGTHS.get(labels.values.get("length", ("hip",))[0], 0.74)
    closure = labels.values.get("closure", ("",))[0]
    thin = max(1, side // 110)
    if closure in ("buttoned", "zipped", "open-front", "double-breasted"):
        pen.line(
            (side * 0.5, side * 0.3, side * 0.5, side * (bottom - 0.01)),
            fill=ink,
            width=thin * (3 if closure == "open-front" else 1),
        )
    if closure in ("buttoned", "double-breasted"):
        for i in range(5):
            y = side * (0.36 + (bottom - 0.42) * i / 4)
            for x in (0.46, 0.54) if closure == "double-breasted" else (0.515,):
                pen.ellipse((side * x - 2 * thin, y - 2 * thin, side * x + 2 * thin, y + 2 * thin), fill=ink)
    if labels.values.get("neckline", ("",))[0] in ("lapel", "shirt-collar", "polo-collar"):
        low = 0.34 if labels.values["neckline"] == ("lapel",) else 0.2
        for s in (-1, 1):
            pen.line(
                [
                    (side * (0.5 + s * 0.1), side * 0.11),
                    (side * (0.5 + s * 0.12), side * low * 0.75),
                    (side * 0.5, side * low),
                ],
                fill=ink,
                width=thin,
            )
    if KINDS[labels.category].shape == "legs":
        pen.line((side * 0.5, side * 0.06, side * 0.5, side * 0.3), fill=ink, width=thin)
