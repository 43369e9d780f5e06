"""Write the shop's own labels as a data folder to train on."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from webapp.catalog import engine as door
from webapp.catalog.mistakes import mistakes_as_one_line
from webapp.catalog.training_data import write_data_folder


class Command(BaseCommand):
    """Says how many products were written."""

    help = "Write products with labels that people said as a data folder; train on it with recognition.train --init shipped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to."""
        parser.add_argument("folder", type=Path, help="a folder that is not there yet")

    @mistakes_as_one_line
    def handle(self, *args: Any, **options: Any) -> None:
        """Write."""
        counts = write_data_folder(options["folder"], door.vocabulary())
        self.stdout.write(
            f"{counts['train']} products to train on and {counts['val']} to judge by in {options['folder']}"
        )
