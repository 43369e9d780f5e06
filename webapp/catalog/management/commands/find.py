"""Find products that look like a photo."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from attributes.report import Figure, positive, write_figures
from recognition.images import open_photo
from search.engine import Page
from search.where import parse_where
from webapp.catalog import engine as door
from webapp.catalog.mistakes import mistakes_as_one_line
from webapp.catalog.models import Product
from webapp.catalog.shopping import parse_box


class Command(BaseCommand):
    """One search from the command line."""

    help = "Print the products that look like the garment in a photo."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Photo, options 1 to 3, filters."""
        parser.add_argument("photo", type=Path)
        parser.add_argument("--category", help="look for this category, and show only it (option 2)")
        parser.add_argument("--box", default="", help="X0,Y0,X1,Y1: look at this rectangle (option 3)")
        parser.add_argument("--where", action="append", default=[], help='a filter such as "colour=red"; repeatable')
        parser.add_argument("--limit", type=positive, default=10)
        parser.add_argument("--json", type=Path, help="write the answer to this file")

    @mistakes_as_one_line
    def handle(self, *args: Any, **options: Any) -> None:
        """Search."""
        words = door.vocabulary()
        if options["category"]:
            words.check_category(options["category"])
        where = parse_where(options["where"], words).with_category(options["category"])
        photo = open_photo(options["photo"], door.limits())
        engine = door.engine()
        seen = engine.see(photo, options["category"], parse_box(options["box"]))
        answer = engine.search(seen, where, Page(options["limit"]))
        titles = dict(Product.objects.filter(sku__in=[h.sku for h in answer.hits]).values_list("sku", "title"))
        read = ", ".join(r.value for r in seen.reading.read)
        if not options["json"]:
            self.stdout.write(
                f"read: {read}\nregion: {seen.region.origin.value} {seen.region.box or 'the whole photo'}"
            )
            for hit in answer.hits:
                self.stdout.write(f"{hit.distance:.4f}  {hit.sku}  {titles.get(hit.sku, '')}")
            self.stdout.write(f"{answer.total} products match")
            return
        results: list[Figure] = [
            {"sku": h.sku, "title": titles.get(h.sku, ""), "distance": h.distance} for h in answer.hits
        ]
        figures: dict[str, Figure] = {
            "read": read,
            "generation": answer.generation,
            "total": answer.total,
            "results": results,
        }
        write_figures(figures, options["json"])
