"""Run the whole shop on this machine."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from webapp.catalog import engine as door
from webapp.catalog.indexing import forget_old_format, pending
from webapp.catalog.mistakes import Mistake, mistakes_as_one_line, progress_line
from webapp.catalog.models import Product

N_ENOUGH = 500  # products in search that make a shop worth opening


class Command(BaseCommand):
    """What script/server starts: database, demo catalogue, indexer, web server."""

    help = "Run the shop on 127.0.0.1; Ctrl-C stops all of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where."""
        parser.add_argument("port", type=int, nargs="?", default=8000)

    @mistakes_as_one_line
    def handle(self, *args: Any, **options: Any) -> None:
        """Start everything, say when it is ready, stop everything."""
        port = options["port"]
        _check_free(port)
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        door.engine()  # wrong weights are said here, not by a dying worker
        if forget_old_format():
            self.stdout.write("The index has an older format; it is made anew from the catalogue.")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        children = [_start("manage.py", "index", "--forever"), _start(
            "-m", "gunicorn", "--config", "webapp/gunicorn.py", "--bind", f"127.0.0.1:{port}", "webapp.wsgi",
        )]  # fmt: skip
        stocking = None if Product.objects.exists() else _start("manage.py", "demo")
        try:
            _wait_until_ready(port, stocking, children)
            self.stdout.write(f"\nHaberdash is open at http://127.0.0.1:{port}/   (Ctrl-C closes it)")
            self.stdout.flush()
            _watch(children, stocking)
        except KeyboardInterrupt:
            self.stdout.write("\nClosing.")
        finally:
            for child in [*children, *([stocking] if stocking else [])]:
                child.terminate()
            for child in children:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(15)


def _check_free(port: int) -> None:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as wrong:
            raise Mistake(f"port {port} cannot be used ({wrong}); give another: script/server 8001") from wrong


def _start(*arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, *arguments], cwd=settings.ROOT, env=os.environ)


def _wait_until_ready(
    port: int, stocking: "subprocess.Popen[bytes] | None", children: list["subprocess.Popen[bytes]"]
) -> None:
    """Return when the server answers and enough products can be searched."""
    line = progress_line("in search")
    while not (_answers(port) and _enough(stocking, line)):
        _check_alive(children)
        time.sleep(0.3)


def _enough(stocking: "subprocess.Popen[bytes] | None", line: Any) -> bool:
    n_indexed = len(door.engine().index)
    if stocking is not None and stocking.poll() not in (None, 0):
        raise Mistake("the demo catalogue could not be stocked")
    all_stocked = stocking is None or stocking.poll() is not None
    if n_indexed >= N_ENOUGH or (all_stocked and pending() == 0) or (stocking is None and n_indexed > 0):
        return True
    line(n_indexed, N_ENOUGH)
    return False


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.3):
        return True
    return False


def _watch(children: list["subprocess.Popen[bytes]"], stocking: "subprocess.Popen[bytes] | None") -> None:
    """Show how far the rest is, then wait until a child ends or Ctrl-C."""
    line, shown = progress_line("in search"), False
    while True:
        _check_alive(children)
        waiting = pending()
        stocked = stocking is None or stocking.poll() is not None
        if waiting > 1 or not stocked:
            shown = True
            n = len(door.engine().index)
            line(n, n + waiting)
        elif shown:
            shown = False
            line(1, 1)
        time.sleep(1.0)


def _check_alive(children: list["subprocess.Popen[bytes]"]) -> None:
    for child in children:
        if child.poll() is not None:
            raise Mistake("a part of the shop ended; see the lines above")
