"""A catalogue from a CSV file: checked row by row, taken, updated, or refused with the reason."""

import csv
import io
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

from django.core.exceptions import ValidationError

from attributes.vocabulary import UnknownAttribute
from recognition.images import BadImage, open_photo
from webapp.catalog import labels as labelling
from webapp.catalog.engine import limits, vocabulary
from webapp.catalog.models import Product
from webapp.catalog.services import NewProduct, save_product

REQUIRED = ("sku", "title", "photo")
OPTIONAL = ("description", "price", "url", "category", "box")

ReadPhoto = Callable[[str], bytes]


class BadCatalogue(ValueError):
    """A file that is no catalogue: wrong encoding or columns."""


class RowReport(NamedTuple):
    """What became, or would become, of a row: taken, updated or refused."""

    line: int
    sku: str
    outcome: str
    reason: str = ""


def import_rows(text: bytes, read_photo: ReadPhoto, dry_run: bool = False) -> Iterator[RowReport]:
    """Import a CSV row by row, each whole or not at all; `dry_run` only says what would become of it.

    Raises BadCatalogue before anything is written.
    """
    rows = read_rows(text)
    seen: set[str] = set()
    for line, row in rows:
        sku = (row.get("sku") or "").strip()
        try:
            if sku in seen:
                raise ValueError(f"sku {sku} stands in the file twice")
            seen.add(sku)
            new = _new_product(row, read_photo)
            yield RowReport(line, sku, _would_be(new) if dry_run else _import(new))
        except (ValueError, BadImage, UnknownAttribute) as wrong:
            yield RowReport(line, sku, "refused", str(wrong))
        except ValidationError as wrong:
            said = [f"{field}: {' '.join(told)}" for field, told in wrong.message_dict.items()]
            yield RowReport(line, sku, "refused", "; ".join(said))


def read_rows(text: bytes) -> list[tuple[int, dict[str, str]]]:
    """Parse and check the header. Raises BadCatalogue."""
    try:
        decoded = text.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        raise BadCatalogue(f"the file is not UTF-8 text ({wrong.reason} at byte {wrong.start})") from wrong
    try:
        delimiter = ";" if decoded.partition("\n")[0].count(";") > decoded.partition("\n")[0].count(",") else ","
        reader = csv.DictReader(io.StringIO(decoded, newline=""), delimiter=delimiter, strict=True)
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as wrong:
        raise BadCatalogue(f"the file is not CSV: {wrong}") from wrong
    columns = reader.fieldnames or ()
    if missing := [c for c in REQUIRED if c not in columns]:
        raise BadCatalogue(f"the column {missing[0]!r} is missing; required: {', '.join(REQUIRED)}")
    known = {*REQUIRED, *OPTIONAL, *vocabulary().groups}
    if unknown := [c for c in columns if c not in known]:
        raise BadCatalogue(f"there is no column {unknown[0]!r}; known: {', '.join(sorted(known))}")
    return rows


def _new_product(row: dict[str, str], read_photo: ReadPhoto) -> NewProduct:
    cell = {k: (v or "").strip() for k, v in row.items() if k is not None}
    if None in row:
        raise ValueError("the row has more cells than there are columns")
    for column in REQUIRED:
        if not cell[column]:
            raise ValueError(f"{column} is empty")
    said = {g: cell[g] for g in ("category", *vocabulary().groups) if cell.get(g)}
    values = {g: [] if text == "-" else text.split() for g, text in said.items()}
    for group, given in values.items():
        if given:
            labelling.check(vocabulary(), group, given)
        elif group == "category":
            raise ValueError("a product has exactly one category, it cannot be '-'")
    return NewProduct(
        cell["sku"], cell["title"], read_photo(cell["photo"]), cell.get("description", ""),
        _price(cell.get("price", "")), cell.get("url", ""), cell.get("box", "").replace(" ", ""), values,
    )  # fmt: skip


def _price(text: str) -> Decimal | None:
    if not text:
        return None
    try:
        price = Decimal(text)
    except InvalidOperation as wrong:
        raise ValueError(f"price {text!r} is not a number; write 19.90") from wrong
    if not price.is_finite() or price < 0:
        raise ValueError(f"price {text!r} is not a price")
    return price.quantize(Decimal("0.01"))


def _import(new: NewProduct) -> str:
    return "taken" if save_product(new)[1] else "updated"


def _would_be(new: NewProduct) -> str:
    """Check all that can be checked without writing."""

    open_photo(new.photo or b"", limits())
    product = Product(sku=new.sku, title=new.title, description=new.description, price=new.price, url=new.url,
                      given_box=new.box, photo="checked.jpg")  # fmt: skip
    product.full_clean(validate_unique=False)
    return "updated" if Product.objects.filter(sku=new.sku).exists() else "taken"


def photos_in(folder: Path) -> ReadPhoto:
    """Read photos from a folder, and from nowhere outside it."""
    root = folder.resolve()

    def read(name: str) -> bytes:
        file = (root / name).resolve()
        if not file.is_relative_to(root):
            raise BadImage(f"the photo {name} lies outside the folder")
        try:
            return file.read_bytes()
        except OSError as wrong:
            raise BadImage(f"the photo {name} is missing") from wrong

    return read


def template() -> str:
    """An example file with every column and one row."""
    written = io.StringIO()
    columns = [*REQUIRED, *OPTIONAL, *vocabulary().groups]
    writer = csv.DictWriter(written, columns)
    writer.writeheader()
    writer.writerow({"sku": "A-1", "title": "Black leather ankle boots", "photo": "a1.jpg", "price": "89.90",
                     "category": "shoes", "colour": "black", "shoe-type": "ankle-boot"})  # fmt: skip
    return written.getvalue()
