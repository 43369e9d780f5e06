"""Stock an empty shop with a demo catalogue."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from attributes.report import positive
from webapp.catalog import demo
from webapp.catalog.engine import vocabulary
from webapp.catalog.mistakes import mistakes_as_one_line, progress_line
from webapp.catalog.models import Product


class Command(BaseCommand):
    """From the data folder that HABERDASH_DATA names, else from garments that the project draws itself."""

    help = "Fill an empty shop with demo products; does nothing when there are any."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How many."""
        parser.add_argument("--limit", type=positive, help="at most so many products")

    @mistakes_as_one_line
    def handle(self, *args: Any, **options: Any) -> None:
        """Stock."""
        if Product.objects.exists():
            return
        data = Path(settings.DATA) if settings.DATA else None
        n = demo.stock(vocabulary(), data, options["limit"] or settings.DEMO_LIMIT or None, progress_line("stocked"))
        self.stdout.write(f"{n} demo products stocked")
