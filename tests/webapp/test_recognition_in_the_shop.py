"""What the shop makes of recognition: doubts about titles, a bounded queue of photos, labels to train on."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client

from attributes.labels import read_garments
from attributes.vocabulary import Vocabulary
from recognition.doubts import doubts
from recognition.images import open_photo
from recognition.shards import unpacked
from search.writer import IndexWriter
from tests.webapp.conftest import garment_photo, street_photo
from webapp.catalog import engine as door
from webapp.catalog import indexing
from webapp.catalog.admission import Admission, Busy
from webapp.catalog.models import Disagreement, Product
from webapp.catalog.services import NewProduct, save_product


def test_the_desk_begins_with_the_surest_disagreement_of_title_and_photo(desk: Client) -> None:
    for sku, group, said, sure in (("D005", "colour", "blue", 0.97), ("D009", "category", "hat", 0.99)):
        product = Product.objects.get(sku=sku)
        Disagreement.objects.create(product=product, group=group, said=said, shown="red", sure=sure)
    Disagreement.objects.exclude(product__sku__in=["D005", "D009"]).delete()
    first = desk.get("/admin/catalog/product/desk/", follow=True)
    assert first.context["product"].sku == "D009"
    assert "the title says <strong>hat</strong>" in first.content.decode()
    address = f"/admin/catalog/product/desk/{first.context['product'].pk}/"
    desk.post(address + "correct/", {"group": "category", "value": "shoes"})
    assert desk.get(address).context["disagreements"] == []
    assert desk.get("/admin/catalog/product/desk/", follow=True).context["product"].sku == "D005"


def test_what_the_photo_speaks_against_is_stored_with_the_product_anew_at_every_look(shop: None) -> None:
    title = "Green long-sleeved velvet dress with a hood"
    save_product(NewProduct("W1", title, garment_photo(4, "shoes")))
    indexing.drain()
    product, engine = Product.objects.get(sku="W1"), door.engine()
    seen = engine.see(open_photo(Path(product.photo.path)), "dress", None, only_region=True)
    found = {(d.group, d.said, d.shown) for d in doubts(engine.recognizer.layout, seen.look, title)}
    for _ in range(2):
        assert set(product.disagreements.values_list("group", "said", "shown")) == found
        indexing.look_at(product)


def test_a_full_queue_is_told_when_to_come_again(client: Client, shop: None, monkeypatch: pytest.MonkeyPatch) -> None:
    full = Admission(1)
    monkeypatch.setattr(door, "_admission", lambda: full)
    with full.enter():
        refused = client.post("/api/v1/search/", {"photo": _upload()})
        page = client.post("/look/", {"photo": _upload()}, follow=True)
    assert refused.status_code == 503
    assert int(refused["Retry-After"]) >= 1
    assert refused.json()["errors"]["photo"] == [
        f"many photos are being looked at just now; try again in {refused['Retry-After']} s"
    ]
    assert page.status_code == 503
    assert int(page["Retry-After"]) >= 1
    assert client.post("/api/v1/search/", {"photo": _upload()}).status_code == 200


def _upload():
    from django.core.files.uploadedfile import SimpleUploadedFile

    return SimpleUploadedFile("street.jpg", street_photo(), "image/jpeg")


def test_places_are_given_back_after_failures_too() -> None:
    admission = Admission(2)
    for _ in range(5):
        with pytest.raises(RuntimeError), admission.enter():
            raise RuntimeError
    with admission.enter(), admission.enter(), pytest.raises(Busy), admission.enter():
        pass


def test_never_more_photos_than_places() -> None:
    admission, inside, worst, refused = Admission(3), [0], [0], [0]
    gate = threading.Barrier(12)

    def ask() -> None:
        gate.wait()
        try:
            with admission.enter():
                inside[0] += 1
                worst[0] = max(worst[0], inside[0])
                threading.Event().wait(0.02)
                inside[0] -= 1
        except Busy:
            refused[0] += 1

    threads = [threading.Thread(target=ask) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst[0] <= 3
    assert refused[0] >= 1


def test_the_shops_labels_become_a_data_folder(shop: None, vocabulary: Vocabulary, tmp_path: Path) -> None:
    call_command("export_labels", str(tmp_path / "export"))
    garments = {g.id: g for g in read_garments(unpacked(tmp_path / "export", tmp_path), vocabulary)}
    assert len(garments) == Product.objects.exclude(seen_with="").count()
    assert {g.split for g in garments.values()} == {"train", "val"}
    product = Product.objects.get(sku="D003")
    said = {(x.group, x.value) for x in product.labels.all() if x.source == "imported" and x.value}
    assert said <= set(garments["D003"].labels.pairs())
    assert garments["D003"].photo.read_bytes() == Path(product.photo.path).read_bytes()
    with pytest.raises(SystemExit) as ended:
        call_command("export_labels", str(tmp_path / "export"))
    assert ended.value.code == 2


def test_an_index_of_other_weights_is_made_anew_by_rebuild(shop: None) -> None:
    schema = door.engine().index.schema
    with IndexWriter(Path(settings.INDEX_DIR), replace(schema, features="older/weights")) as writer:
        writer.apply([], fresh=True)
    call_command("index", rebuild=True)
    assert len(door.engine().index) == Product.objects.filter(published=True).exclude(code=b"").count() > 0
