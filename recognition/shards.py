"""Data folders as WebDataset shards, to travel or to be stored as few large files: python -m recognition.shards DIR OUT.

A sample is a photo, under its own name, and `json`: the rows of items.csv that are in it.
"""

import argparse
import csv
import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import webdataset

from attributes.labels import BadDataFolder
from attributes.report import fail, positive, progress

SHARD_BYTES = 64 * 2**20
PHOTOS = 1000  # of one shard, at most


def write_shards(folder: Path, out: Path, largest: int = SHARD_BYTES) -> int:
    """Pack a data folder into OUT/000000.tar and so on; returns how many photos. Raises BadDataFolder."""
    columns, photos = _rows_by_photo(folder)
    out.mkdir(parents=True, exist_ok=True)
    with webdataset.ShardWriter(str(out / "%06d.tar"), maxsize=largest, maxcount=PHOTOS, verbose=0) as writer:
        for i, (photo, rows) in enumerate(progress(photos.items(), len(photos), "photos")):
            try:
                source = (folder / photo).read_bytes()
            except OSError as wrong:
                raise BadDataFolder(f"{photo} cannot be read: {wrong.strerror}") from wrong
            ending = PurePosixPath(photo).suffix.removeprefix(".").lower() or "jpg"
            writer.write({"__key__": f"{i:08d}", ending: source, "json": {"columns": columns, "rows": rows}})
    return len(photos)


def unpacked(data: Path, cache: Path) -> Path:
    """Return `data` if it is a data folder; if it is a shard, or a folder of shards, unpack it once under `cache`.

    Raises BadDataFolder for shards that are damaged or hold no rows.
    """
    shards = sorted(data.glob("*.tar")) if data.is_dir() else [data]
    if (data / "items.csv").is_file() or not shards or not shards[0].is_file():
        return data
    said = repr([(shard.name, shard.stat().st_size, shard.stat().st_mtime_ns) for shard in shards])
    folder = cache / hashlib.sha256(said.encode()).hexdigest()[:12]
    if not folder.is_dir():
        aside = folder.with_suffix(f".{os.getpid()}")
        shutil.rmtree(aside, ignore_errors=True)
        (aside / "photos").mkdir(parents=True)
        _unpack(shards, aside)
        aside.rename(folder)
    return folder


def _unpack(shards: list[Path], folder: Path) -> None:
    columns: list[str] = []
    rows: list[dict[str, str]] = []
    try:
        for sample in _samples(shards):
            told = json.loads(sample["json"])
            ending = next(key for key in sample if key != "json" and not key.startswith("__"))
            name = f"photos/{len(rows):08d}.{ending.replace('/', '_')}"
            (folder / name).write_bytes(sample[ending])
            columns = columns or list(told["columns"])
            rows += [{**row, "photo": name} for row in told["rows"]]
    except (tarfile.TarError, json.JSONDecodeError, KeyError, StopIteration, TypeError, ValueError, OSError) as wrong:
        raise BadDataFolder(f"{shards[0].parent} has a shard that cannot be read: {wrong!r}") from wrong
    if not rows:
        raise BadDataFolder(f"{shards[0].parent} has shards without a sample of a photo and json")
    with (folder / "items.csv").open("w", newline="", encoding="utf-8") as opened:
        writer = csv.DictWriter(opened, columns)
        writer.writeheader()
        writer.writerows(rows)


def _samples(shards: list[Path]) -> Iterator[dict[str, bytes]]:
    names = [str(shard) for shard in shards]
    yield from webdataset.WebDataset(names, shardshuffle=False, empty_check=False, handler=webdataset.reraise_exception)


def _rows_by_photo(folder: Path) -> tuple[list[str], dict[str, list[dict[str, str]]]]:
    try:
        with (folder / "items.csv").open(newline="", encoding="utf-8-sig") as opened:
            reader = csv.DictReader(opened)
            photos: dict[str, list[dict[str, str]]] = {}
            for row in reader:
                photos.setdefault(row["photo"], []).append(row)
            return list(reader.fieldnames or ()), photos
    except (OSError, KeyError, UnicodeDecodeError) as wrong:
        raise BadDataFolder(f"{folder / 'items.csv'} cannot be read: {wrong!r}") from wrong


def main() -> None:
    """Read the command line and pack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--largest", type=positive, default=SHARD_BYTES, help="bytes of a shard")
    arguments = parser.parse_args()
    try:
        n = write_shards(arguments.folder, arguments.out, arguments.largest)
    except BadDataFolder as wrong:
        fail(str(wrong))
    print(f"{n} photos in {len(list(arguments.out.glob('*.tar')))} shards")


if __name__ == "__main__":
    main()
