"""Read a photo as words."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from attributes.report import write_figures
from recognition.images import open_photo
from webapp.catalog import engine as door
from webapp.catalog.mistakes import mistakes_as_one_line


class Command(BaseCommand):
    """The label sequence, with confidences."""

    help = "Print the labels that are read from a photo."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Photo and guide."""
        parser.add_argument("photo", type=Path)
        parser.add_argument("--category", help="what the garment is, where that is known")
        parser.add_argument("--json", type=Path, help="write the same to this file")

    @mistakes_as_one_line
    def handle(self, *args: Any, **options: Any) -> None:
        """Describe."""
        if options["category"]:
            door.vocabulary().check_category(options["category"])
        photo = open_photo(options["photo"], door.limits())
        seen = door.engine().see(photo, options["category"])
        reading = seen.reading
        figures = {
            "category": reading.category,
            "box": list(seen.region.box) if seen.region.box else None,
            "attributes": [r._asdict() for r in reading.read],
            "categories": [c._asdict() for c in reading.categories[:4]],
        }
        write_figures(figures, options["json"])
