"""A disk that remembers every operation, and what it holds when the power is cut."""

from pathlib import Path
from typing import NamedTuple

from search.durable import Disk, OpenFile


class Operation(NamedTuple):
    """One thing that was done. kind: open, write, truncate, sync, rename, remove, sync_folder."""

    kind: str
    name: str
    offset: int = 0
    content: bytes = b""
    new_name: str = ""

    @property
    def is_sync(self) -> bool:
        """Whether something became durable."""
        return self.kind in ("sync", "sync_folder")


class _RecordingFile(OpenFile):
    def __init__(self, path: Path, operations: list[Operation]) -> None:
        super().__init__(path)
        self._operations = operations

    def write_at(self, offset: int, content: bytes | memoryview) -> None:
        super().write_at(offset, content)
        self._operations.append(Operation("write", self.path.name, offset, bytes(content)))

    def truncate(self, size: int) -> None:
        super().truncate(size)
        self._operations.append(Operation("truncate", self.path.name, size))

    def sync(self) -> None:
        super().sync()
        self._operations.append(Operation("sync", self.path.name))


class RecordingDisk(Disk):
    """Does everything, and writes it down."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def open(self, path: Path) -> OpenFile:
        """Open, and write it down."""
        self.operations.append(Operation("open", path.name))
        return _RecordingFile(path, self.operations)

    def rename(self, old: Path, new: Path) -> None:
        """Rename, and write it down."""
        super().rename(old, new)
        self.operations.append(Operation("rename", old.name, new_name=new.name))

    def remove(self, path: Path) -> None:
        """Remove, and write it down."""
        super().remove(path)
        self.operations.append(Operation("remove", path.name))

    def sync_folder(self, folder: Path) -> None:
        """Sync, and write it down."""
        super().sync_folder(folder)
        self.operations.append(Operation("sync_folder", folder.name))


class _Inode:
    def __init__(self) -> None:
        self.written, self.synced = bytearray(), b""


def disks_at(operations: list[Operation]) -> list[dict[str, bytes]]:
    """What files a folder holds after the operations and a power cut: only what was synced, everything that was written, and
    all names as they were with only the synced content."""
    names: dict[str, _Inode] = {}
    durable: dict[str, _Inode] = {}
    opened: dict[str, _Inode] = {}
    for operation in operations:
        kind, name = operation.kind, operation.name
        if kind == "open":
            opened[name] = names.setdefault(name, _Inode())
        elif kind == "write":
            content, end = opened[name].written, operation.offset + len(operation.content)
            content.extend(b"\0" * (end - len(content)))
            content[operation.offset : end] = operation.content
        elif kind == "truncate":
            content = opened[name].written
            content.extend(b"\0" * (operation.offset - len(content)))
            del content[operation.offset :]
        elif kind == "sync":
            opened[name].synced = bytes(opened[name].written)
        elif kind == "rename":
            names[operation.new_name] = names.pop(name)
        elif kind == "remove":
            names.pop(name, None)
        else:
            durable = dict(names)
    return [
        {name: inode.synced for name, inode in durable.items()},
        {name: bytes(inode.written) for name, inode in names.items()},
        {name: inode.synced for name, inode in names.items()},
    ]
