"""Photo bytes to ranked results, by stage: python -m benchmarks.photo. Runs on the shop's own index and models."""

import argparse
import io
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import django
import numpy as np
from PIL import Image

from attributes.labels import evenly
from attributes.report import Figure, fail, positive, write_figures
from attributes.vocabulary import load_vocabulary
from recognition.cards import WeightsMismatch
from recognition.drawing import draw_scene
from recognition.images import Pixels, open_photo
from search.engine import Engine, Page
from search.where import Where

N_WARM = 3
PAGE = Page(limit=24)


def sample_photos(folder: Path | None, n: int) -> list[bytes]:
    """Photos to search by: evenly spaced files of a folder, else drawn scenes as JPEG."""
    if folder is not None:
        files = sorted(f for f in folder.rglob("*.jpg"))
        if not files:
            fail(f"{folder} has no .jpg files")
        return [files[i].read_bytes() for i in evenly(len(files), n)]
    return [_jpeg(draw_scene(load_vocabulary(), seed, 512, 768)[0]) for seed in range(n)]


def _jpeg(pixels: Pixels) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "JPEG", quality=90)
    return written.getvalue()


def one_photo(engine: Engine, photo: bytes) -> dict[str, float]:
    """Milliseconds of every stage of one search."""
    started = time.perf_counter()
    pixels = open_photo(photo)
    decoded = time.perf_counter()
    seen = engine.see(pixels)
    saw = time.perf_counter()
    engine.search(seen, Where(), PAGE)
    done = time.perf_counter()
    return {"decode": (decoded - started) * 1000, **seen.took_ms, "search": (done - saw) * 1000,
            "whole": (done - started) * 1000}  # fmt: skip


def measure(engine: Engine, photos: list[bytes], n_clients: int) -> dict[str, Figure]:
    """Median and 95th percentile of the whole way, medians by stage, and photos a second with several clients."""
    for photo in photos[:N_WARM]:
        one_photo(engine, photo)
    laps = [one_photo(engine, photo) for photo in photos]
    whole = np.array([lap.pop("whole") for lap in laps])
    started = time.perf_counter()
    with ThreadPoolExecutor(n_clients) as clients:
        list(clients.map(lambda photo: one_photo(engine, photo), photos))
    rate = len(photos) / (time.perf_counter() - started)
    stages = {stage: float(np.median([lap[stage] for lap in laps])) for stage in laps[0]}
    return {
        "photos": len(photos),
        "products": len(engine.index),
        "p50_ms": float(np.percentile(whole, 50)),
        "p95_ms": float(np.percentile(whole, 95)),
        "stages": {k: stages[k] for k in ("decode", "detect", "describe", "features", "search")},
        "clients": n_clients,
        "photos_per_s": rate,
    }


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, help="folder of photos to search by (default: drawn scenes)")
    parser.add_argument("-n", type=positive, default=60, help="how many photos")
    parser.add_argument("--clients", type=positive, default=8, help="searches at once for photos_per_s")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    django.setup()
    from webapp.catalog import engine as door

    try:
        engine = door.engine()
    except WeightsMismatch as wrong:
        fail(str(wrong))
    write_figures(measure(engine, sample_photos(arguments.photos, arguments.n), arguments.clients), arguments.json)


if __name__ == "__main__":
    main()
