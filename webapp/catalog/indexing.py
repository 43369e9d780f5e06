"""The indexer: drains the outbox into the index, looking at every new photo once.

Shapes in this module:
    W  64-bit words of a code
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from django.conf import settings
from django.db import close_old_connections, transaction
from PIL import Image

from attributes.labels import Box
from attributes.meta import named_categories
from recognition.doubts import Doubt, doubts
from recognition.images import BadImage, Pixels, full_box, open_photo
from search.engine import Seen
from search.layer import Entry
from search.packed import OldFormat
from search.writer import IndexWriter
from webapp.catalog import engine as door
from webapp.catalog import photos
from webapp.catalog.labels import effective
from webapp.catalog.models import Disagreement, Job, Label, OutboxEntry, Product, Source

BATCH = 8  # products whose photos are looked at before a correction may overtake: about a second
LONG = 64  # changes that wait from which their progress is shown as a job
RELABELED = 2000  # products whose photos were seen already: cheap, so many at once
TILE = (360, 450)  # pixels of a result's picture, 4:5

Progress = Callable[[int, int], None]


def pending() -> int:
    """How many changes wait for the indexer."""
    return OutboxEntry.objects.count()


def drain(progress: Progress | None = None) -> int:
    """Bring everything that waits into the index, in durable batches; returns how many products were looked at.

    Raises IndexLocked when another process is the indexer, WeightsMismatch without weights.
    """
    with door.index_writer() as writer:
        return _drain(writer, progress)


def _drain(writer: IndexWriter, progress: Progress | None) -> int:
    n_done, total = 0, pending()
    while batch := _next_batch():
        products = {p.sku: p for p in Product.objects.filter(sku__in=batch.values()).with_labels()}
        entries = [e for p in products.values() if (e := _entry(p)) is not None]
        gone = set(batch.values()) - {e.sku for e in entries}
        writer.apply(entries, gone)
        OutboxEntry.objects.filter(id__in=list(batch)).delete()
        n_done += len(batch)
        if progress is not None:
            progress(n_done, max(total, n_done + pending()))
    return n_done


def rebuild(progress: Progress | None = None) -> int:
    """Make the index anew from the database: an empty generation, then everything."""
    begin_anew()
    return drain(progress)


def begin_anew() -> None:
    """Empty the index and let every product wait for the indexer."""
    with door.index_writer() as writer:
        writer.apply([], fresh=True)
    enqueue_everything()


def enqueue_everything() -> None:
    """Let every product wait for the indexer, oldest first."""
    with transaction.atomic():
        OutboxEntry.objects.all().delete()
        OutboxEntry.objects.bulk_create(
            [OutboxEntry(sku=sku) for sku in Product.objects.order_by("id").values_list("sku", flat=True)]
        )


def forget_old_format() -> bool:
    """Begin anew where the index has a format of before the promise; whether it had."""
    try:
        door.engine().index.snapshot()
    except OldFormat:
        begin_anew()
        return True
    return False


def run_forever(pause_s: float = 0.5) -> None:
    """Be the indexer: drain whenever something waits, delete shoppers' expired photos, note long work as a job."""
    with door.index_writer():
        pass  # fail now, not at the first change, when another process is the indexer
    with door.index_writer() as writer:
        while True:
            close_old_connections()
            if waiting := pending():
                job = Job.objects.create(kind="index", n_total=waiting) if waiting > LONG else None
                _drain(writer, _noting(job))
                if job is not None:
                    Job.objects.filter(id=job.id).update(state=Job.State.DONE)
            photos.delete_expired()
            time.sleep(pause_s)


def _noting(job: Job | None) -> Progress | None:
    if job is None:
        return None

    def note(done: int, total: int) -> None:
        Job.objects.filter(id=job.id).update(n_done=done, n_total=total)

    return note


def _next_batch() -> dict[int, str]:
    """The oldest changes, id to sku: many where photos were seen already, fewer where they must be looked at."""
    waiting = dict(OutboxEntry.objects.values_list("id", "sku")[:RELABELED])
    features = door.engine().extractor.name
    unseen = set(
        Product.objects.filter(sku__in=set(waiting.values())).exclude(seen_with=features).values_list("sku", flat=True)
    )
    seen = {i: sku for i, sku in waiting.items() if sku not in unseen}
    if seen:  # corrections never wait behind photos
        return seen
    return dict(list(waiting.items())[:BATCH])


def _entry(product: Product) -> Entry | None:
    """The product as it is to be indexed; None when shoppers must not find it or its photo cannot be read."""
    if product.seen_with != door.engine().extractor.name:
        try:
            look_at(product)
        except BadImage as wrong:
            Product.objects.filter(pk=product.pk).update(problem=str(wrong)[:300])
            return None
    if not product.published or not product.code:
        return None
    words = door.vocabulary()
    held = effective(product.labels.all(), words)
    return Entry(
        product.sku,
        np.frombuffer(bytes(product.code), "<u8"),
        np.frombuffer(bytes(product.colour), np.uint8),
        tuple(sorted(words.label_ids[s.group, s.value] for s in held)),
        None if product.price is None else int(product.price * 100),
    )


def look_at(product: Product) -> None:
    """Find, read and encode the product in its photo; its title's category guides. Raises BadImage."""
    engine = door.engine()
    try:
        photo = open_photo(Path(product.photo.path))
    except ValueError as wrong:
        raise BadImage(f"the photo is missing: {wrong}") from wrong
    given = Box(*(float(c) for c in product.given_box.split(","))) if product.given_box else None
    guide = _guide(product)
    seen = engine.see(photo, guide, given, only_region=True)
    region = seen.region.box
    product.seen_box = region.text() if region is not None else ""
    product.code, product.colour = seen.features.code.tobytes(), seen.features.colour.tobytes()
    product.tile = write_tile(product, photo, product.region)
    product.seen_with, product.problem = engine.extractor.name, ""
    fields = ["seen_box", "code", "colour", "tile", "seen_with", "problem"]
    with transaction.atomic():
        Product.objects.bulk_update([product], fields)
        _keep_reading(product, seen)
        _keep_doubts(product, doubts(engine.recognizer.layout, seen.look, product.title))


def _guide(product: Product) -> str | None:
    """The category that a person has said, else the one that the title names, else none."""
    said = [x for x in product.labels.all() if x.group == "category" and x.value and x.source != Source.MODEL]
    for source in (Source.MERCHANDISER, Source.IMPORTED):
        for label in said:
            if label.source == source:
                return label.value
    named = named_categories(door.vocabulary(), product.title, product.description)
    return named[0].category if named else None


def _keep_reading(product: Product, seen: Seen) -> None:
    Label.objects.filter(product=product, source=Source.MODEL).delete()
    Label.objects.bulk_create(
        Label(product=product, group=r.group, value=r.value, source=Source.MODEL, confidence=round(r.confidence, 4))
        for r in seen.reading.read
    )
    product.__dict__.pop("_prefetched_objects_cache", None)  # what was fetched along is old now


def _keep_doubts(product: Product, found: Sequence[Doubt]) -> None:
    Disagreement.objects.filter(product=product).delete()
    Disagreement.objects.bulk_create(
        Disagreement(product=product, group=d.group, said=d.said, shown=d.shown, sure=round(d.sure, 4)) for d in found
    )


def write_tile(product: Product, photo: Pixels, region: Box | None) -> str:
    """Write the picture of a result, the product's own region in 4:5 on paper; returns its path under the media folder."""
    x0, y0, x1, y1 = (round(c) for c in _window(photo, region or full_box(photo)))
    paper = Image.new("RGB", (x1 - x0, y1 - y0), "white")
    paper.paste(Image.fromarray(photo), (-x0, -y0))
    paper = paper.resize(TILE, Image.Resampling.LANCZOS)
    name = f"tiles/{product.pk % 256:02x}/{Path(product.photo.name or '').stem}.webp"
    file = Path(settings.MEDIA_ROOT) / name
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_suffix(".tmp")
    paper.save(aside, "WEBP", quality=82)
    aside.rename(file)
    return name


def _window(photo: Pixels, region: Box) -> Box:
    """A 4:5 window round a region with a little air, moved into the photo as far as it fits."""
    height, width = photo.shape[:2]
    share = TILE[0] / TILE[1]
    tall = max(region.y1 - region.y0, (region.x1 - region.x0) / share) * 1.08
    wide = tall * share
    left = _moved_inside((region.x0 + region.x1 - wide) / 2, wide, width)
    top = _moved_inside((region.y0 + region.y1 - tall) / 2, tall, height)
    return Box(left, top, left + wide, top + tall)


def _moved_inside(start: float, length: float, size: int) -> float:
    if length >= size:
        return (size - length) / 2
    return min(max(start, 0.0), size - length)
