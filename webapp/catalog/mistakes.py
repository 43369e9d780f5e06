"""A user's mistake on the command line ends with one clear line on stderr and status 2, never a traceback."""

import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from attributes.labels import BadDataFolder
from attributes.report import fail
from attributes.vocabulary import UnknownAttribute
from recognition.cards import WeightsMismatch
from recognition.images import BadImage
from recognition.runtime import BadRuntime
from search.engine import BadBox
from search.following import IndexOutdated
from search.index import UnknownProduct
from search.packed import CorruptIndex, OldFormat
from search.segment import NoRoom
from search.upkeep import NoBackup
from search.where import BadFilter
from search.writer import IndexLocked
from webapp.catalog.importing import BadCatalogue


class Mistake(ValueError):
    """Something a person got wrong that no room below knows."""


EXPECTED = (
    BadBox, BadCatalogue, BadDataFolder, BadFilter, BadImage, BadRuntime, CorruptIndex, IndexLocked, IndexOutdated, Mistake,
    NoBackup, NoRoom, OldFormat, UnknownAttribute, UnknownProduct, WeightsMismatch,
)  # fmt: skip


def mistakes_as_one_line(handle: Callable[..., None]) -> Callable[..., None]:
    """Decorate a command's `handle`."""

    @wraps(handle)
    def handled(*args: Any, **options: Any) -> None:
        try:
            handle(*args, **options)
        except EXPECTED as wrong:
            fail(str(wrong))

    return handled


def progress_line(what: str) -> Callable[[int, int], None]:
    """A callback that shows how far long work is: in place on a terminal, now and then elsewhere."""
    live, last = sys.stderr.isatty(), [0.0]

    def show(done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and now - last[0] < (0.1 if live else 5.0):
            return
        last[0] = now
        bar = "#" * (24 * done // max(total, 1))
        end = "" if live and done < total else "\n"
        print(("\r" if live else "") + f"{what} [{bar:<24}] {done}/{total}", end=end, file=sys.stderr, flush=True)

    return show
