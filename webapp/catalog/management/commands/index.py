"""Bring the index up to date."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from search.upkeep import backup, restore, verify
from webapp.catalog import engine as door
from webapp.catalog import indexing
from webapp.catalog.mistakes import Mistake, mistakes_as_one_line, progress_line


class Command(BaseCommand):
    """Drains the outbox; --rebuild starts from nothing; --forever is what script/server runs; the rest keeps it sound."""

    help = "Bring the index up to date with the catalogue."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How."""
        parser.add_argument("--rebuild", action="store_true", help="from nothing")
        parser.add_argument("--forever", action="store_true", help="stay, and index every change as it comes")
        parser.add_argument("--verify", action="store_true", help="read every byte and say what is wrong")
        parser.add_argument("--compact", action="store_true", help="make one segment of everything")
        parser.add_argument("--backup", metavar="DIR", help="copy the index, whole, into a new folder")
        parser.add_argument("--restore", metavar="DIR", help="replace the index by a backup")

    @mistakes_as_one_line
    def handle(self, *args: Any, **options: Any) -> None:
        """Index."""
        if options["verify"] or options["backup"]:
            self._look_after(options["backup"])
            return
        if options["compact"] or options["restore"]:
            self._put_in_order(options["restore"])
            return
        if not options["rebuild"] and indexing.forget_old_format():
            self.stdout.write("The index has an older format; it is made anew from the catalogue.")
        line = progress_line("indexed")
        n = indexing.rebuild(line) if options["rebuild"] else 0
        if options["forever"]:
            indexing.run_forever()
        n += indexing.drain(line)
        self.stdout.write(f"{n} products indexed")

    def _look_after(self, target: str | None) -> None:
        """Read only: no lock is needed, the shop may be open."""
        index = door.engine().index
        if target:
            generation = backup(index.folder, Path(target), index.schema)
            self.stdout.write(f"generation {generation} with {len(index)} products is in {target}")
        elif problems := verify(index.folder, index.schema):
            raise Mistake("; ".join(problems))
        else:
            self.stdout.write(f"generation {index.snapshot().generation} with {len(index)} products is sound")

    def _put_in_order(self, source: str | None) -> None:
        with door.index_writer() as writer:
            if source:
                generation = restore(Path(source), writer)
                self.stdout.write(f"restored as generation {generation}; changes since the backup wait for the indexer")
                indexing.enqueue_everything()
            else:
                writer.compact()
                self.stdout.write(f"{len(door.engine().index)} products in one segment")
