"""The pages without JavaScript."""

import re
from urllib.parse import urlsplit

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from attributes.vocabulary import Vocabulary, load_vocabulary
from search.where import parse_where
from tests.webapp.conftest import N_PRODUCTS, garment_photo, street_photo
from webapp.catalog import services
from webapp.catalog.models import Product
from webapp.catalog.shopping import read_words


def upload(client: Client, content: bytes | None = None) -> str:
    photo = SimpleUploadedFile("p.jpg", garment_photo(3, "dress") if content is None else content)
    response = client.post("/look/", {"photo": photo})
    assert response.status_code == 302, response.content[:500]
    return response["Location"]


def page(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200, response.content[:2000]
    return response.content.decode()


def links(html: str, text: str) -> list[str]:
    found = re.findall(r'<a[^>]*href="([^"]+)"[^>]*>(.*?)</a>', html, re.DOTALL)
    return [h.replace("&amp;", "&") for h, inner in found if text in inner]


def test_the_start_shows_shelves_and_arrivals(client: Client, shop: None) -> None:
    html = page(client, "/")
    assert "Choose a photo" in html
    assert "T-shirts" in html
    assert html.count('class="tile"') == 12


def test_an_empty_shop_says_so(client: Client, shop: None) -> None:
    Product.objects.all().delete()
    assert "The shelves are empty" in page(client, "/")


def test_a_photo_leads_to_results_with_chips_that_switch(client: Client, shop: None) -> None:
    address = upload(client)
    html = page(client, address)
    assert f"{N_PRODUCTS} products, nearest first" in html
    chip = re.search(r'<a class="chip" href="([^"]+)"', html)
    filtered = page(client, chip[1].replace("&amp;", "&"))
    assert 'class="chip on"' in filtered
    assert "Clear filters" in filtered


def test_runners_up_can_be_chosen(client: Client, shop: None) -> None:
    html = page(client, upload(client))
    guesses = html[html.index('class="guesses"') :]
    runner_up = re.search(r'href="([^"]+category=([\w-]+))"', guesses)
    chosen = page(client, runner_up[1].replace("&amp;", "&"))
    assert re.search(rf'class="on" aria-current="true">{runner_up[2].capitalize()}', chosen)
    assert "stands out" not in chosen  # a photo of one garment is looked at as a whole whatever it is called


def test_a_box_in_the_address_is_the_region(client: Client, shop: None) -> None:
    html = page(client, upload(client, street_photo()) + "?box=100,100,300,500")
    assert 'data-region="100,100,300,500"' in html
    assert "your frame" in html


def test_words_become_filters_in_the_address(client: Client, shop: None) -> None:
    response = client.get("/browse/?q=Red+dresses+for+women")
    query = urlsplit(response["Location"]).query
    assert "where=category%3Ddress" in query
    assert "where=colour%3Dred" in query
    assert "where=audience%3Dwomen" in query


@pytest.mark.parametrize(
    ("typed", "filters", "rest"),
    [
        ("black leather ankle boots", ["category=shoes", "material=leather", "colour=black"], ""),
        ("light blue jeans", ["category=jeans", "colour=light-blue"], ""),
        (
            "striped v-neck sweater with dinosaur",
            ["category=sweater", "pattern=striped", "neckline=v-neck"],
            "dinosaur",
        ),
        ("something nice", [], "something nice"),
    ],
)
def test_typed_words(vocabulary: Vocabulary, typed: str, filters: list[str], rest: str) -> None:
    read, left = read_words(typed, vocabulary)
    assert sorted(read) == sorted(filters)
    assert left == rest


@given(st.text(max_size=60))
def test_any_typed_text_becomes_filters_that_parse(typed: str) -> None:
    words = load_vocabulary()
    filters, _ = read_words(typed, words)
    parse_where(filters, words)


def test_no_result_is_no_dead_end(client: Client, shop: None) -> None:
    html = page(client, "/browse/?where=category%3Ddress&where=price%3C%3D0.50")
    assert "Nothing in the shop matches all of that" in html
    assert "Almost" in html
    assert "costs" in html
    html = page(client, "/browse/?words=zzzz")
    assert "Almost" in html
    assert "without “zzzz”" in html


def test_price_form_sort_and_show_more(client: Client, shop: None) -> None:
    html = page(client, "/browse/?from=20&to=29&sort=-price")
    html = html.partition("<h2>Almost")[0]
    prices = [float(p) for p in re.findall(r'class="price">€([\d.]+)<', html)]
    assert prices == sorted(prices, reverse=True)
    assert len(prices) == 10
    assert "Show more" not in html
    html = page(client, "/browse/")
    more = links(html, "Show more")[0]
    assert page(client, more).count('class="tile"') == N_PRODUCTS


def test_product_page_and_more_like_it(client: Client, shop: None) -> None:
    html = page(client, "/products/D003/")
    assert "Looks like it" in html
    assert "More like this" in html
    assert page(client, "/products/D003/similar/?where=category%3Dshirt").count('class="tile"') >= 1


def test_a_withdrawn_product_is_not_shown(client: Client, shop: None) -> None:
    services.publish([Product.objects.get(sku="D003")], False)
    assert client.get("/products/D003/").status_code == 404


@pytest.mark.parametrize(
    ("content", "said"), [(b"nothing", "not a photo"), (b"", "empty"), (garment_photo(1)[:500], "damaged")]
)
def test_a_bad_photo_is_answered_with_what_to_do(client: Client, shop: None, content: bytes, said: str) -> None:
    response = client.post("/look/", {"photo": SimpleUploadedFile("p.jpg", content)})
    assert response.status_code == 400
    assert said in response.content.decode()
    assert "Choose a photo" in response.content.decode()


@pytest.mark.parametrize(
    "address",
    [
        "?where=colour%3Dmauve",
        "?where=nonsense",
        "?box=1,2",
        "?category=sock",
        "?from=abc",
        "?box=9999,9999,10000,10000",
    ],
)
def test_a_bad_address_is_an_error_page_not_a_crash(client: Client, shop: None, address: str) -> None:
    assert client.get(upload(client) + address).status_code == 400


@pytest.mark.parametrize(
    "address",
    ["/nowhere/", "/look/00000000-0000-4000-8000-000000000000/", "/products/none/", "/media/products/../../secret-key",
     "/media/tiles/none.webp", "/examples/none.jpg"],
)  # fmt: skip
def test_what_is_not_there_is_404(client: Client, shop: None, address: str) -> None:
    assert client.get(address).status_code == 404


def test_numbers_beyond_sense_are_brought_back(client: Client, shop: None) -> None:
    assert client.get("/browse/?n=99999999999999999999").status_code == 200
    assert client.get("/browse/?n=-5").status_code == 200
    assert client.get("/browse/?sort=sideways").status_code == 200


def test_the_policy_allows_nothing_foreign(client: Client, shop: None) -> None:
    policy = client.get("/")["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    html = page(client, upload(client))
    assert " style=" not in html
    assert "<script>" not in html


def test_shoppers_photos_are_private(client: Client, shop: None) -> None:
    response = client.get(upload(client) + "photo.jpg")
    assert response.status_code == 200
    assert "private" in response["Cache-Control"]
