"""The one door to the models: opened once per process, on first use."""

from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from uuid import UUID

from django.conf import settings

from attributes.labels import Box
from attributes.vocabulary import Vocabulary, load_vocabulary
from detection import detector as detection
from detection.detector import Detector
from recognition import recognizer as recognition
from recognition.images import Limits, Pixels
from recognition.recognizer import Recognizer
from recognition.runtime import Runtime
from search.engine import Engine, Seen
from search.features import Extractor
from search.index import Index
from search.layer import Schema
from search.writer import IndexWriter
from webapp.catalog.admission import Admission

_opening = Lock()


def vocabulary() -> Vocabulary:
    """The words of the shop."""
    return load_vocabulary()


@cache
def _open() -> Engine:
    words = load_vocabulary()
    folder = Path(settings.WEIGHTS) if settings.WEIGHTS else None
    runtime = Runtime.named(settings.RUNTIME, settings.THREADS)
    recognizer = Recognizer.load(settings.RECOGNIZER, words, runtime, folder or recognition.WEIGHTS)
    detector = Detector.load(settings.DETECTOR, words, runtime, folder or detection.WEIGHTS, recognizer)
    extractor = Extractor(recognizer)
    index = Index(Path(settings.INDEX_DIR), Schema(words, extractor.space.n_bits, extractor.name))
    return Engine(recognizer, detector, index, extractor)


def engine() -> Engine:
    """The models and the index. Raises WeightsMismatch when there are no fitting weights."""
    with _opening:
        return _open()


def index_writer() -> IndexWriter:
    """The writing side of the index; enter it to hold the lock."""
    reader = engine().index
    return IndexWriter(reader.folder, reader.schema)


def limits() -> Limits:
    """How large a photo may be."""
    return Limits(settings.PHOTO_MAX_BYTES, settings.PHOTO_MAX_PIXELS)


@cache
def _admission() -> Admission:
    return Admission(settings.PHOTO_QUEUE)


@lru_cache(256)
def _seen(photo_id: UUID, category: str | None, box: Box | None, opened: "_Opened") -> Seen:
    with _admission().enter():
        return engine().see(opened.pixels(), category, box)


class _Opened:
    """A photo that is decoded only if something must look at it. All are equal: the photo's id is what tells apart."""

    def __init__(self, pixels: Callable[[], Pixels]) -> None:
        self.pixels = pixels

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Opened)

    def __hash__(self) -> int:
        return 0


def see(photo_id: UUID, pixels: Callable[[], Pixels], category: str | None, box: Box | None) -> Seen:
    """What the engine sees in a shopper's photo, remembered: filtering and paging look at a photo once.

    Raises Busy when too many photos are being looked at, BadBox, UnknownAttribute, and what `pixels` raises.
    """
    return _seen(photo_id, category, box, _Opened(pixels))
