"""Changes of files that survive a crash: what is to be durable is written aside, synced, renamed, and its folder synced.

Everything the index writes goes through a `Disk`, so that a test can record the operations and cut the power anywhere.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType


class OpenFile:
    """A file that is written at offsets."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def write_at(self, offset: int, content: bytes | memoryview) -> None:
        """Write all of `content`. Raises OSError when the disk is full."""
        rest = memoryview(content)
        while rest:
            written = os.pwrite(self._descriptor, rest, offset)
            rest, offset = rest[written:], offset + written

    def truncate(self, size: int) -> None:
        """Cut or extend to `size` bytes."""
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        """Return when what was written is on the disk."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Close; nothing is synced by it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "OpenFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, wrong: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Disk:
    """The operations. A folder's entries are durable only after `sync_folder`."""

    def open(self, path: Path) -> OpenFile:
        """Open for writing at offsets, made if it is not there."""
        return OpenFile(path)

    def rename(self, old: Path, new: Path) -> None:
        """Put `old` in the place of `new` in one step."""
        old.rename(new)

    def remove(self, path: Path) -> None:
        """Delete a file, if it is there."""
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        """Make what was made, renamed and removed in a folder durable."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def write_file(self, path: Path, parts: Iterable[bytes | memoryview]) -> None:
        """Write a file whole: under its name it is complete, or not there. The folder must be synced afterwards.

        Raises OSError (a full disk); what was written aside is removed then.
        """
        aside = path.with_name(path.name + ".tmp")
        self.remove(aside)
        try:
            with self.open(aside) as opened:
                offset = 0
                for part in parts:
                    opened.write_at(offset, part)
                    offset += len(part)
                opened.sync()
            self.rename(aside, path)
        except OSError:
            self.remove(aside)
            raise
