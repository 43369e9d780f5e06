"""What the shop makes of recognition: doubts about titles, a bounded queue of photos, labels to train on."""

import threading
from pathlib import Path

import pytest
from django.core.management import call_command
from django.test import Client

from attributes.labels import read_garments
from attributes.vocabulary import Vocabulary
from recognition.shards import unpacked
from tests.webapp.conftest import garment_photo, street_photo
from webapp.catalog import engine as door
from webapp.catalog import indexing
from webapp.catalog.admission import Admission, Busy
from webapp.catalog.models import Disagreement, Product
from webapp.catalog.services import NewProduct, save_product


def test_a_title_that_the_photo_contradicts_comes_first_at_the_desk(desk: Client) -> None:
    save_product(NewProduct("W1", "Green long-sleeved velvet dress with a hood", garment_photo(4, "shoes")))
    indexing.drain()
    surest = Disagreement.objects.first()
    assert surest is not None
    assert Disagreement.objects.filter(product__sku="W1").exists()
    assert all(0.9 <= d.sure <= 1 for d in Disagreement.objects.all())
    first = desk.get("/admin/catalog/product/desk/", follow=True)
    assert first.context["product"].pk == surest.product.pk
    assert f"the title says <strong>{surest.said}</strong>" in first.content.decode()
    address = f"/admin/catalog/product/desk/{surest.product.pk}/"
    desk.post(address + "correct/", {"group": surest.group, "value": surest.said})
    assert surest.group not in {d.group for d in desk.get(address).context["disagreements"]}


def test_looking_again_replaces_old_disagreements(shop: None) -> None:
    save_product(NewProduct("W2", "Green long-sleeved velvet dress", garment_photo(4, "shoes")))
    indexing.drain()
    product = Product.objects.get(sku="W2")
    before = product.disagreements.count()
    indexing.look_at(product)
    assert product.disagreements.count() == before > 0


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
