"""Bring the index up to date."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from webapp.catalog import indexing
from webapp.catalog.mistakes import mistakes_as_one_line, progress_line


class Command(BaseCommand):
    """Drains the outbox; --rebuild starts from nothing; --forever is what script/server runs."""

    help = "Bring the index up to date with the catalogue."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How."""
        parser.add_argument("--rebuild", action="store_true", help="from nothing")
        parser.add_argument("--forever", action="store_true", help="stay, and index every change as it comes")

    @mistakes_as_one_line
    def handle(self, *args: Any, **options: Any) -> None:
        """Index."""
        line = progress_line("indexed")
        n = indexing.rebuild(line) if options["rebuild"] else 0
        if options["forever"]:
            indexing.run_forever()
        n += indexing.drain(line)
        self.stdout.write(f"{n} products indexed")
