"""A shop of drawn garments, indexed once by the models that ship; changes of one test are undone for the next."""

import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from PIL import Image

from recognition.drawing import KINDS, draw_garment, draw_scene
from webapp.catalog import indexing
from webapp.catalog.engine import vocabulary
from webapp.catalog.models import Product
from webapp.catalog.roles import give_role
from webapp.catalog.services import NewProduct, save_product

N_PRODUCTS = 48


def jpeg(pixels) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "JPEG", quality=90)
    return written.getvalue()


def garment_photo(seed: int, category: str | None = None) -> bytes:
    return jpeg(draw_garment(vocabulary(), seed, category, 256).pixels)


def street_photo(seed: int = 3) -> bytes:
    return jpeg(draw_scene(vocabulary(), seed, 384, 576)[0])


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker) -> None:
    """After Django has made the test database: stock it and index it."""
    with django_db_blocker.unblock():
        for i in range(N_PRODUCTS):
            category = list(KINDS)[i % len(KINDS)]
            drawing = draw_garment(vocabulary(), i, category, 256)
            labels = {g: list(v) for g, v in drawing.labels.values.items()} | {"category": [category]}
            save_product(NewProduct(f"D{i:03d}", drawing.title, jpeg(drawing.pixels), price=10 + i, labels=labels))
        indexing.drain()


@pytest.fixture
def shop(db) -> Iterator[None]:
    """The stocked shop; what a test changes in the index is undone."""
    kept = Path(settings.VAR) / "index-before"
    shutil.copytree(settings.INDEX_DIR, kept)
    yield
    shutil.rmtree(settings.INDEX_DIR)
    kept.rename(settings.INDEX_DIR)
    from webapp.catalog import engine

    engine.engine().index.reopen()


@pytest.fixture
def merchandiser(shop) -> User:
    person = User.objects.create_user("mia", password="a-long-password-1", is_staff=True)
    give_role(person, "merchandiser")
    return person


@pytest.fixture
def desk(client: Client, merchandiser: User) -> Client:
    """A browser session of a merchandiser."""
    client.force_login(merchandiser)
    return client


@pytest.fixture
def product(shop) -> Product:
    return Product.objects.get(sku="D000")
