"""Find products that look like a photo."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from attributes.report import Figure, positive, write_figures
from attributes.vocabulary import Vocabulary
from recognition.images import open_photo
from search.engine import Page
from search.query import Explanation
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
        parser.add_argument("--explain", metavar="SKU", help="say where this product stands in the results and why")
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
        if options["explain"]:
            self.stdout.write(_in_words(engine.explain(seen, where, options["explain"]), words))
            return
        answer = engine.search(seen, where, Page(options["limit"]))
        titles = dict(Product.objects.filter(sku__in=[h.sku for h in answer.hits]).values_list("sku", "title"))
        read = ", ".join(r.value for r in seen.reading.read)
        if not options["json"]:
            region = seen.region.box.text(0) if seen.region.box else "the whole photo"
            self.stdout.write(f"read: {read}\nregion: {region} ({seen.region.origin.value})")
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


def _in_words(explained: Explanation, words: Vocabulary) -> str:
    """Where a product stands, part by part."""
    sku = explained.sku
    if not explained.is_indexed:
        return f"{sku} is not in the index: it is not published, waits for the indexer, or its photo cannot be read"
    if explained.breaks:
        return f"{sku} is not in the results: it breaks {'; '.join(explained.breaks)}"
    hit = explained.hit
    if hit is None or hit.why is None or explained.rank is None:
        return f"{sku} is in the index"
    why, total = hit.why, hit.why.weights.total
    parts = zip(("code", "colour", "labels"), hit.why[:3], why.weights, strict=True)
    lines = [f"{sku} is number {explained.rank + 1}, at distance {hit.distance:.4f}"]
    lines += [f"  {name:7}{part:.4f} of 1, counts {weight}/{total}" for name, part, weight in parts]
    for said, labels in (("shares", why.shared), ("lacks", why.missing)):
        lines += [f"  {said} {', '.join('='.join(words.labels[x]) for x in labels)}"] if labels else []
    return "\n".join(lines)
