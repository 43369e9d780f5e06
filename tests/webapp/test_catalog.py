"""The rules of the catalogue: labels, corrections, import, indexing, photos."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils import timezone
from PIL import Image

from attributes.vocabulary import UnknownAttribute
from recognition.images import BadImage
from search.writer import IndexLocked
from tests.recognition.photos import as_bytes, picture, turned_by_exif
from tests.webapp.conftest import N_PRODUCTS, garment_photo, street_photo
from webapp.catalog import engine as door
from webapp.catalog import importing, indexing, photos, services
from webapp.catalog.engine import vocabulary
from webapp.catalog.importing import BadCatalogue, import_rows, photos_in
from webapp.catalog.labels import effective
from webapp.catalog.models import Label, OutboxEntry, Product, ShopperPhoto, Source
from webapp.catalog.services import NewProduct, save_product


def held(product: Product, group: str) -> list[str]:
    return [s.value for s in effective(Label.objects.filter(product=product), vocabulary()) if s.group == group]


def test_every_product_is_in_search_with_code_colour_region_and_tile(shop: None) -> None:
    assert len(door.engine().index) == N_PRODUCTS
    for product in Product.objects.all():
        assert product.code
        assert len(product.colour) == 64
        assert (Path(settings.MEDIA_ROOT) / product.tile).is_file()


def test_per_group_the_first_that_speaks_holds(product: Product) -> None:
    Label.objects.filter(product=product).delete()
    say = lambda source, value: Label.objects.create(product=product, group="colour", value=value, source=source)  # noqa: E731
    Label.objects.create(product=product, group="category", value="t-shirt", source=Source.MODEL)
    say(Source.MODEL, "red")
    assert held(product, "colour") == ["red"]
    say(Source.IMPORTED, "blue")
    assert held(product, "colour") == ["blue"]
    say(Source.MERCHANDISER, "")
    assert held(product, "colour") == []


def test_a_group_that_does_not_apply_to_the_category_is_left_out(product: Product) -> None:
    Label.objects.filter(product=product, group="category").update(value="scarf")
    assert held(product, "neckline") == []


def test_a_correction_reaches_search_and_can_be_undone(product: Product, merchandiser: User) -> None:
    index, label = door.engine().index, vocabulary().label_ids["colour", "gold"]
    before = held(product, "colour")
    correction = services.correct(product, "colour", ["gold"], merchandiser)
    assert label not in index.entry("D000").labels
    indexing.drain()
    assert label in index.entry("D000").labels
    services.undo(correction, merchandiser)
    indexing.drain()
    assert label not in index.entry("D000").labels
    assert held(product, "colour") == before


def test_silence_lets_the_others_speak_again(product: Product) -> None:
    before = held(product, "pattern")
    services.correct(product, "pattern", [], None)
    assert held(product, "pattern") == []
    services.correct(product, "pattern", None, None)
    assert held(product, "pattern") == before


@pytest.mark.parametrize(
    ("group", "values"),
    [("colour", ["mauve"]), ("shape", ["round"]), ("colour", ["red", "blue", "black", "white"]), ("category", []),
     ("category", ["dress", "coat"]), ("fit", ["slim", "loose"])],
)  # fmt: skip
def test_a_correction_that_cannot_be_changes_nothing(product: Product, group: str, values: list[str]) -> None:
    before = list(Label.objects.filter(product=product).values_list("group", "value", "source"))
    with pytest.raises((UnknownAttribute, ValueError)):
        services.correct(product, group, values, None)
    assert list(Label.objects.filter(product=product).values_list("group", "value", "source")) == before
    assert not OutboxEntry.objects.exists()


def test_withdrawn_and_deleted_products_leave_search(product: Product) -> None:
    services.publish([product], False)
    services.delete([Product.objects.get(sku="D001")])
    indexing.drain()
    assert len(door.engine().index) == N_PRODUCTS - 2
    services.publish([product], True)
    indexing.drain()
    assert len(door.engine().index) == N_PRODUCTS - 1


def test_a_photo_that_cannot_be_read_is_named_and_stops_nobody(product: Product) -> None:
    services.store_photo(product, garment_photo(0, "t-shirt"))  # a file of this test's own
    Path(product.photo.path).write_bytes(b"broken")
    services.forget_seen(product)
    product.save()
    services.enqueue(["D000", "D002"])
    indexing.drain()
    product.refresh_from_db()
    assert "not a photo" in product.problem
    assert not OutboxEntry.objects.exists()
    assert len(door.engine().index) == N_PRODUCTS - 1
    services.store_photo(product, garment_photo(0, "t-shirt"))
    product.save()
    services.enqueue(["D000"])
    indexing.drain()
    assert len(door.engine().index) == N_PRODUCTS


def test_rebuilding_gives_the_same_index(shop: None) -> None:
    index = door.engine().index
    before = {f"D{i:03d}": index.entry(f"D{i:03d}").labels for i in range(N_PRODUCTS)}
    assert indexing.rebuild() == N_PRODUCTS
    assert {sku: index.entry(sku).labels for sku in before} == before


def test_only_one_indexer_writes(shop: None) -> None:
    with door.index_writer(), pytest.raises(IndexLocked):
        indexing.drain()


def test_shoppers_photos_are_stripped_kept_and_deleted(db: None) -> None:
    photo = photos.keep(turned_by_exif(picture(200, 100), 6))
    assert (photo.width, photo.height) == (100, 200)
    with Image.open(photos.file_of(photo)) as kept:
        assert not kept.getexif()
    ShopperPhoto.objects.filter(id=photo.id).update(expires=timezone.now() - timedelta(seconds=1))
    with pytest.raises(photos.PhotoExpired):
        photos.find(photo.id)
    assert photos.delete_expired() == 1
    assert not photos.file_of(photo).exists()


def test_a_large_photos_boxes_are_in_its_own_pixels(shop: None) -> None:
    from attributes.labels import Box
    from webapp.catalog.shopping import see

    large = Image.open(__import__("io").BytesIO(street_photo())).resize((1536, 2304))
    photo = photos.keep(as_bytes(large, "JPEG"))
    assert (photo.width, photo.height) == (1536, 2304)
    seen = see(photo, None, Box(200, 400, 1300, 2200))
    assert seen.region.box == pytest.approx((200, 400, 1300, 2200))
    assert all(g.box.x1 <= 1540 and g.box.y1 <= 2310 for g in seen.garments)
    assert max((g.box.y1 for g in seen.garments), default=2304) > 1280


# ---- import


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.jpg").write_bytes(garment_photo(1, "dress"))
    (tmp_path / "b.jpg").write_bytes(garment_photo(2, "coat"))
    (tmp_path / "broken.jpg").write_bytes(b"broken")
    return tmp_path


def run(folder: Path, text: str, dry_run: bool = False) -> list[tuple[str, str, str]]:
    return [(r.sku, r.outcome, r.reason) for r in import_rows(text.encode(), photos_in(folder), dry_run)]


def test_rows_are_taken_updated_and_refused_with_the_reason(shop: None, folder: Path) -> None:
    text = (
        "sku,title,photo,price,category,colour,box\n"
        "X1,Red dress,a.jpg,19.90,dress,red white,\n"
        "X2,Coat,b.jpg,,,-,\n"
        "X3,No photo,missing.jpg,,,,\n"
        "X4,Broken,broken.jpg,,,,\n"
        "X5,Bad price,a.jpg,cheap,,,\n"
        "X6,Bad colour,a.jpg,,,mauve,\n"
        'X7,Bad box,a.jpg,,,,"0,0,5000,5000"\n'
        "X8,Bad category,a.jpg,,sock,,\n"
        "X1,Twice,a.jpg,,,,\n"
        "X/9,Bad sku,a.jpg,,,,\n"
        "X10,,a.jpg,,,,\n"
        "X11,Escape,../../etc/passwd,,,,\n"
    )
    reports = run(folder, text)
    assert [r[:2] for r in reports] == [("X1", "taken"), ("X2", "taken")] + [
        (sku, "refused") for sku in ("X3", "X4", "X5", "X6", "X7", "X8", "X1", "X/9", "X10", "X11")
    ]
    said = ["missing", "not a photo", "price", "mauve", "region", "sock", "twice", "sku", "title is empty", "outside"]
    for (_, _, reason), word in zip(reports[2:], said, strict=True):
        assert word in reason
    product = Product.objects.get(sku="X1")
    assert product.price == Decimal("19.90")
    assert held(product, "colour") == ["white", "red"]
    assert held(Product.objects.get(sku="X2"), "colour") == []
    assert not Product.objects.filter(sku__in=["X3", "X4", "X5", "X6", "X7", "X8", "X10", "X11"]).exists()
    assert run(folder, "sku,title,photo\nX1,Better title,a.jpg\n") == [("X1", "updated", "")]


def test_a_preview_writes_nothing(shop: None, folder: Path) -> None:
    text = "sku,title,photo\nX1,Dress,a.jpg\nD000,Known,a.jpg\nX2,Dress,missing.jpg\n"
    assert [r[1] for r in run(folder, text, dry_run=True)] == ["taken", "updated", "refused"]
    assert Product.objects.count() == N_PRODUCTS
    assert not OutboxEntry.objects.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"sku,title\nA,B\n", "'photo' is missing"),
        (b"", "'sku' is missing"),
        ("sku,title,photo\nÄ,B,c\n".encode("latin-1"), "not UTF-8"),
        (b"sku,title,photo,colr\nA,B,c,d\n", "no column 'colr'"),
    ],
)
def test_a_file_that_is_no_catalogue_is_refused_whole(shop: None, folder: Path, text: bytes, said: str) -> None:
    with pytest.raises(BadCatalogue, match=said):
        list(import_rows(text, photos_in(folder)))


def test_the_template_can_be_imported(shop: None, folder: Path) -> None:
    (folder / "a1.jpg").write_bytes(garment_photo(5, "shoes"))
    assert [r[1] for r in run(folder, importing.template())] == ["taken"]


def test_a_semicolon_file_with_bom_is_read(shop: None, folder: Path) -> None:
    assert [r[1] for r in run(folder, "\ufeffsku;title;photo\nX1;Kleid;a.jpg\n")] == ["taken"]


def test_a_given_region_shrinks_with_a_large_photo(shop: None) -> None:
    large = Image.open(__import__("io").BytesIO(garment_photo(1))).resize((2560, 2560))
    product, created = save_product(NewProduct("L1", "Large", as_bytes(large, "JPEG"), box="0,0,2560,1280"))
    assert created
    assert (product.photo.width, product.given_box) == (1280, "0,0,1280,640")


def test_nothing_is_half_written_when_a_product_is_refused(shop: None) -> None:
    with pytest.raises(ValidationError):
        save_product(NewProduct("bad sku!", "T", garment_photo(1)))
    with pytest.raises(BadImage):
        save_product(NewProduct("B1", "T", b"nothing"))
    with pytest.raises(UnknownAttribute):
        save_product(NewProduct("B2", "T", garment_photo(1), labels={"colour": ["mauve"]}))
    assert Product.objects.count() == N_PRODUCTS
    assert not OutboxEntry.objects.exists()


# ---- commands


def test_describe_and_find_print_and_write(shop: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    from django.core.management import call_command

    photo = tmp_path / "p.jpg"
    photo.write_bytes(garment_photo(3, "dress"))
    call_command("describe", str(photo), "--category", "dress", "--json", str(tmp_path / "d.json"))
    assert json.loads((tmp_path / "d.json").read_text())["category"] == "dress"
    asked = ["--category", "dress", "--where", "price<=1000", "--limit", "3"]
    call_command("find", str(photo), *asked, "--json", str(tmp_path / "f.json"))
    found = json.loads((tmp_path / "f.json").read_text())
    assert found["total"] == 2


def test_find_tells_the_region_as_it_is_given_and_the_products(
    shop: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from django.core.management import call_command

    photo = tmp_path / "p.jpg"
    photo.write_bytes(garment_photo(3, "dress"))
    call_command("find", str(photo), "--box", "10,20,120,140")
    told = capsys.readouterr().out
    assert "region: 10,20,120,140 (drawn)\n" in told
    assert told.endswith(f"{N_PRODUCTS} products match\n")


@pytest.mark.parametrize(
    "arguments",
    [["describe", "nowhere.jpg"], ["describe", "{photo}", "--category", "sock"], ["find", "{photo}", "--where", "colour=mauve"],
     ["find", "{photo}", "--where", "nonsense"], ["find", "{photo}", "--box", "1,2,3"], ["find", "{photo}", "--box", "9000,9000,9100,9100"],
     ["import_catalogue", "nowhere.csv", "--photos", "."], ["find", "{text}"]],
)  # fmt: skip
def test_a_users_mistake_is_one_line_and_status_2(
    shop: None, tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    from django.core.management import call_command

    (tmp_path / "p.jpg").write_bytes(garment_photo(3, "dress"))
    (tmp_path / "p.txt").write_text("no photo")
    told = [a.format(photo=tmp_path / "p.jpg", text=tmp_path / "p.txt") for a in arguments]
    with pytest.raises(SystemExit) as ended:
        call_command(*told)
    assert ended.value.code == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert "\n" not in error


def test_people_get_in_by_a_command_with_a_good_password(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    from django.core.management import call_command

    monkeypatch.setattr("sys.stdin", io.StringIO("password\n"))
    with pytest.raises(SystemExit):
        call_command("add_person", "anna")
    assert not User.objects.exists()
    monkeypatch.setattr("sys.stdin", io.StringIO("quiet-Lapel-77\n"))
    call_command("add_person", "anna", "--role", "merchandiser")
    person = User.objects.get(username="anna")
    assert person.has_perm("catalog.change_product")
    assert not person.has_perm("auth.change_user")


def test_the_index_is_verified_compacted_backed_up_and_restored(
    shop: None, tmp_path: Path, product: Product, capsys: pytest.CaptureFixture[str]
) -> None:
    from django.core.management import call_command

    call_command("index", "--backup", str(tmp_path / "kept"))
    assert f"with {N_PRODUCTS} products is in" in capsys.readouterr().out
    services.publish([product], False)
    indexing.drain()
    call_command("index", "--verify")
    assert f"with {N_PRODUCTS - 1} products is sound" in capsys.readouterr().out
    call_command("index", "--compact")
    assert f"{N_PRODUCTS - 1} products in one segment" in capsys.readouterr().out
    call_command("index", "--restore", str(tmp_path / "kept"))
    assert "changes since the backup wait" in capsys.readouterr().out
    assert product.sku in door.engine().index
    call_command("index")
    assert product.sku not in door.engine().index
    assert len(door.engine().index) == N_PRODUCTS - 1


def test_damage_of_the_index_is_one_line_and_a_rebuild_mends_it(shop: None, capsys: pytest.CaptureFixture[str]) -> None:
    from django.core.management import call_command

    call_command("index", "--compact")
    segment = next(Path(settings.INDEX_DIR).glob("*.hbs"))
    damaged = bytearray(segment.read_bytes())
    damaged[len(damaged) // 2] ^= 4
    segment.write_bytes(damaged)
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        call_command("index", "--verify")
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert segment.name in error
    assert "Traceback" not in error
    door.engine().index.reopen()
    assert indexing.rebuild() == N_PRODUCTS
    assert len(door.engine().index) == N_PRODUCTS


def test_an_index_of_the_old_format_is_made_anew_with_one_line(shop: None, capsys: pytest.CaptureFixture[str]) -> None:
    from django.core.management import call_command

    folder = Path(settings.INDEX_DIR)
    for file in folder.iterdir():
        file.unlink()
    (folder / "generation-000000009.segment").write_bytes(b"HABRDSH1" + bytes(80))
    (folder / "CURRENT").write_text("generation-000000009.segment\n")
    door.engine().index.reopen()
    call_command("index")
    said = capsys.readouterr().out.splitlines()
    assert said == [
        "The index has an older format; it is made anew from the catalogue.",
        f"{N_PRODUCTS} products indexed",
    ]
    assert len(door.engine().index) == N_PRODUCTS


def test_find_explains_where_a_product_stands(shop: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from django.core.management import call_command

    photo = tmp_path / "photo.jpg"
    photo.write_bytes(garment_photo(0))
    call_command("find", str(photo), "--limit", "3")
    first = capsys.readouterr().out.splitlines()[2].split()[1]
    call_command("find", str(photo), "--explain", first)
    said = capsys.readouterr().out
    assert f"{first} is number 1, at distance" in said
    assert "code" in said
    call_command("find", str(photo), "--explain", first, "--where", "price>=9000")
    assert "it breaks price>=9000" in capsys.readouterr().out
    call_command("find", str(photo), "--explain", "nothing-here")
    assert "is not in the index" in capsys.readouterr().out
