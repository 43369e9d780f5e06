"""Bring a catalogue in from a CSV and a folder of photos."""

from argparse import ArgumentParser
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from attributes.report import progress
from webapp.catalog.importing import BadCatalogue, import_rows, photos_in, read_rows
from webapp.catalog.mistakes import mistakes_as_one_line


class Command(BaseCommand):
    """Reports rows taken, updated, and refused with the reason."""

    help = "Import products from a CSV (columns sku, title, photo; see docs/data.md)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """CSV and photos."""
        parser.add_argument("csv", type=Path)
        parser.add_argument("--photos", type=Path, required=True, help="folder that the column `photo` is relative to")
        parser.add_argument("--dry-run", action="store_true", help="only say what would become of every row")

    @mistakes_as_one_line
    def handle(self, *args: Any, **options: Any) -> None:
        """Import."""
        try:
            text = options["csv"].read_bytes()
        except OSError as wrong:
            raise BadCatalogue(f"cannot read {options['csv']}: {wrong.strerror}") from wrong
        if not options["photos"].is_dir():
            raise BadCatalogue(f"{options['photos']} is not a folder")
        reports = import_rows(text, photos_in(options["photos"]), options["dry_run"])
        outcomes: Counter[str] = Counter()
        for report in progress(reports, len(read_rows(text)), "rows"):
            outcomes[report.outcome] += 1
            if report.outcome == "refused":
                self.stdout.write(f"line {report.line} ({report.sku or 'no sku'}) refused: {report.reason}")
        self.stdout.write(", ".join(f"{outcomes[o]} {o}" for o in ("taken", "updated", "refused")))
