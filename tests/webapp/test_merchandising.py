"""The admin: desk, import, export, roles, history."""

import io
import zipfile

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.webapp.conftest import N_PRODUCTS, garment_photo
from webapp.catalog import indexing
from webapp.catalog.models import Correction, Job, Label, OutboxEntry, Product, Source

ADMIN = "/admin/catalog/product/"


def said(product: Product, group: str) -> list[str]:
    return sorted(
        Label.objects.filter(product=product, group=group, source=Source.MERCHANDISER).values_list("value", flat=True)
    )


@pytest.mark.parametrize(
    "page",
    ["", "?unsure=any", "?unsure=colour", "?title_says=disagrees", "?photo_state=whole", "?category=dress", "?q=dress", "add/",
     "import/", "health/", "import/template.csv"],
)  # fmt: skip
def test_every_page_opens(desk: Client, page: str) -> None:
    assert desk.get(ADMIN + page).status_code == 200


def test_product_desk_and_history_open(desk: Client, product: Product) -> None:
    for page in (f"{product.pk}/change/", f"desk/{product.pk}/", f"{product.pk}/history/"):
        assert desk.get(ADMIN + page).status_code == 200
    assert desk.get(ADMIN + "desk/").status_code == 302


def test_strangers_are_asked_to_sign_in(client: Client, product: Product) -> None:
    for page in ("", "desk/", f"desk/{product.pk}/", "import/", "health/"):
        response = client.get(ADMIN + page)
        assert response.status_code == 302
        assert "/admin/login/" in response["Location"]


def test_staff_without_a_role_may_not_correct(client: Client, product: Product) -> None:
    client.force_login(User.objects.create_user("temp", is_staff=True))
    assert client.get(f"{ADMIN}desk/{product.pk}/").status_code == 403
    assert client.post(f"{ADMIN}desk/{product.pk}/correct/", {"group": "colour", "value": "red"}).status_code == 403
    assert client.get(ADMIN + "import/").status_code == 403


def test_a_merchandiser_may_not_touch_people(desk: Client) -> None:
    assert desk.get("/admin/auth/user/").status_code == 403


def test_one_tap_corrects_and_one_undoes(desk: Client, product: Product) -> None:
    desk.post(f"{ADMIN}desk/{product.pk}/correct/", {"group": "pattern", "value": "floral"})
    assert said(product, "pattern") == ["floral"]
    assert OutboxEntry.objects.filter(sku=product.sku).exists()
    desk.post(f"{ADMIN}desk/{product.pk}/correct/", {"group": "pattern", "value": ""})
    assert said(product, "pattern") == [""]
    desk.post(f"{ADMIN}desk/{product.pk}/undo/")
    assert said(product, "pattern") == ["floral"]
    desk.post(f"{ADMIN}desk/{product.pk}/undo/")
    assert said(product, "pattern") == []
    desk.post(f"{ADMIN}desk/{product.pk}/undo/")
    assert said(product, "pattern") == []


def test_accepting_keeps_every_row_and_goes_on(desk: Client, product: Product) -> None:
    response = desk.post(f"{ADMIN}desk/{product.pk}/correct/", {"accept": "1"})
    assert response.status_code == 302
    assert str(product.pk) not in response["Location"].rstrip("/").rpartition("/")[2]
    assert said(product, "category") == ["t-shirt"]
    assert Correction.objects.filter(product=product).count() >= 3


def test_a_correction_that_cannot_be_is_said_and_changes_nothing(desk: Client, product: Product) -> None:
    response = desk.post(f"{ADMIN}desk/{product.pk}/correct/", {"group": "colour", "value": "mauve"}, follow=True)
    assert "Not saved" in response.content.decode()
    assert not Correction.objects.exists()


def test_publish_withdraw_and_delete_in_bulk(desk: Client, product: Product) -> None:
    chosen = {"_selected_action": [product.pk]}
    desk.post(ADMIN, {"action": "withdraw", **chosen})
    product.refresh_from_db()
    assert not product.published
    desk.post(ADMIN, {"action": "publish", **chosen})
    product.refresh_from_db()
    assert product.published
    desk.post(ADMIN, {"action": "delete_selected", **chosen, "post": "yes"})
    assert not Product.objects.filter(pk=product.pk).exists()
    assert OutboxEntry.objects.filter(sku=product.sku).exists()


def form_of(product: Product, **changed: object) -> dict[str, object]:
    return {
        "title": product.title,
        "description": "",
        "price": "9",
        "url": "",
        "given_box": "",
        "published": "on",
    } | changed


def test_the_product_form_refuses_bad_photos_and_regions(desk: Client, product: Product) -> None:
    address = f"{ADMIN}{product.pk}/change/"
    bad = desk.post(address, form_of(product, photo=SimpleUploadedFile("a.jpg", b"nothing")))
    assert bad.status_code == 200
    outside = desk.post(address, form_of(product, given_box="0,0,9000,9000"))
    assert "does not lie in the photo" in outside.content.decode()
    before = product.photo.name
    good = desk.post(
        address, form_of(product, photo=SimpleUploadedFile("a.jpg", garment_photo(9)), given_box="5,5,200,200")
    )
    assert good.status_code == 302, good.content
    product.refresh_from_db()
    assert product.photo.name != before
    assert product.given_box == "5,5,200,200"
    indexing.drain()
    product.refresh_from_db()
    assert product.tile


def archive(**files: bytes) -> SimpleUploadedFile:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as packed:
        for name, content in files.items():
            packed.writestr(f"photos/{name}.jpg", content)
    return SimpleUploadedFile("p.zip", written.getvalue())


def test_an_import_is_previewed_then_confirmed(desk: Client) -> None:
    catalogue = SimpleUploadedFile("c.csv", b"sku,title,photo\nI1,Dress,a.jpg\nI2,Coat,none.jpg\n")
    response = desk.post(ADMIN + "import/", {"catalogue": catalogue, "photos": archive(a=garment_photo(1, "dress"))})
    assert response.status_code == 302
    preview = desk.get(response["Location"]).content.decode()
    assert "1 would be taken, 1 would be refused" in preview
    assert "none.jpg is missing from the ZIP" in preview
    assert Product.objects.count() == N_PRODUCTS
    desk.post(response["Location"], {"confirm": "1"})
    assert Product.objects.count() == N_PRODUCTS + 1
    assert Job.objects.get(kind="import").state == "done"
    assert desk.get(response["Location"]).status_code == 404


@pytest.mark.parametrize("catalogue", [b"sku,title\nA,b\n", "sku,title,photo\nÄ".encode("latin-1")])
def test_a_bad_catalogue_is_refused_at_once(desk: Client, catalogue: bytes) -> None:
    told = desk.post(ADMIN + "import/", {"catalogue": SimpleUploadedFile("c.csv", catalogue), "photos": archive()})
    assert told.status_code == 400
    assert "Nothing was imported" in told.content.decode()
    bad_zip = SimpleUploadedFile("p.zip", b"no zip")
    told = desk.post(
        ADMIN + "import/", {"catalogue": SimpleUploadedFile("c.csv", b"sku,title,photo\n"), "photos": bad_zip}
    )
    assert "not a ZIP" in told.content.decode()


def test_an_export_has_the_columns_of_the_import(desk: Client, product: Product) -> None:
    from webapp.merchandising.export import ProductResource

    rows = ProductResource().export(Product.objects.filter(sku__in=["D000", "D001"]).order_by("sku"))
    assert rows.headers[:3] == ["sku", "title", "photo"]
    assert "neckline" in rows.headers
    assert rows.dict[0]["category"] == "t-shirt"


def test_the_health_page_says_what_waits(desk: Client, product: Product) -> None:
    from webapp.catalog import services

    assert "Nothing waits" in desk.get(ADMIN + "health/").content.decode()
    services.enqueue(["D000"])
    assert "1 changes wait" in desk.get(ADMIN + "health/").content.decode()
