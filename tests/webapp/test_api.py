"""REST, as docs/api.md promises it."""

import json
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from rest_framework.authtoken.models import Token

from tests.recognition.photos import as_bytes, picture
from tests.webapp.conftest import N_PRODUCTS, garment_photo, street_photo
from webapp.catalog import indexing
from webapp.catalog.models import Product


def photo(content: bytes | None = None) -> SimpleUploadedFile:
    return SimpleUploadedFile("p.jpg", garment_photo(3, "dress") if content is None else content, "image/jpeg")


def search(client: Client, **asked: object) -> dict:
    response = client.post("/api/v1/search/", asked)
    assert response.status_code == 200, response.content
    return response.json()


def test_a_search_answers_in_the_form_promised(client: Client, shop: None) -> None:
    answer = search(client, photo=photo(), limit=5)
    assert set(answer) == {"query", "generation", "total", "facets", "results", "relaxed", "took_ms"}
    assert {"id", "category", "confidence", "box", "attributes", "garments"} <= set(answer["query"])
    assert answer["total"] == N_PRODUCTS
    assert len(answer["results"]) == 5
    first = answer["results"][0]
    assert {"sku", "title", "photo", "url", "distance", "attributes", "why"} <= set(first)
    assert set(first["why"]) == {"code", "colour", "labels", "weights", "shared", "missing"}
    assert [r["distance"] for r in answer["results"]] == sorted(r["distance"] for r in answer["results"])
    assert sum(answer["facets"]["category"].values()) == N_PRODUCTS
    assert all(0 <= a["confidence"] <= 1 for a in answer["query"]["attributes"])


def test_the_model_never_filters_but_the_caller_does(client: Client, shop: None) -> None:
    assert search(client, photo=photo())["total"] == N_PRODUCTS
    chosen = search(client, photo=photo(), category="dress")
    assert chosen["total"] == 2
    assert chosen["query"]["category"] == "dress"
    assert search(client, photo=photo(), where=["category=dress", "category=coat"])["total"] == 4
    assert search(client, photo=photo(), where=["category!=dress"])["total"] == N_PRODUCTS - 2
    assert search(client, photo=photo(), where=["price>=20", "price<=29"])["total"] == 10


def test_a_query_is_filtered_paged_and_reboxed_without_the_photo(client: Client, shop: None) -> None:
    first = search(client, photo=photo(street_photo()), limit=10)
    query, generation = first["query"]["id"], first["generation"]
    pages = [search(client, query=query, limit=10, offset=o, generation=generation)["results"] for o in (0, 10, 20)]
    skus = [r["sku"] for page in pages for r in page]
    assert len(set(skus)) == 30
    assert skus[:10] == [r["sku"] for r in first["results"]]
    box = search(client, query=query, box="100,100,300,400")["query"]
    assert box["box"] == [100, 100, 300, 400]
    assert box["origin"] == "drawn"


def test_relaxed_results_say_what_they_break(client: Client, shop: None) -> None:
    answer = search(client, photo=photo(), where=["category=dress", "price<=34"], limit=10)
    assert answer["total"] == len(answer["results"]) < 10
    assert len(answer["results"]) + len(answer["relaxed"]) == 10
    assert answer["relaxed"][0]["breaks"] in (["category=dress"], ["price<=34"])


def test_a_guide_that_is_not_in_the_photo_falls_back_and_says_so(client: Client, shop: None) -> None:
    assert (
        search(client, photo=photo(as_bytes(picture(200, 200), "JPEG")), category="scarf")["query"]["origin"] == "whole"
    )


@pytest.mark.parametrize(
    ("asked", "status", "field"),
    [
        ({}, 400, "photo"),
        ({"photo": b"no photo"}, 400, "photo"),
        ({"photo": b""}, 400, "photo"),
        ({"photo": garment_photo(1)[:400]}, 400, "photo"),
        ({"photo": None, "category": "sock"}, 400, "category"),
        ({"photo": None, "where": "colour=mauve"}, 400, "where"),
        ({"photo": None, "where": "colour"}, 400, "where"),
        ({"photo": None, "box": "1,2,3"}, 400, "box"),
        ({"photo": None, "box": "5000,5000,6000,6000"}, 400, "box"),
        ({"photo": None, "box": "nan,0,1,1"}, 400, "box"),
        ({"photo": None, "limit": "0"}, 400, "limit"),
        ({"photo": None, "offset": "-1"}, 400, "offset"),
        ({"photo": None, "generation": "99999"}, 409, "generation"),
        ({"query": str(uuid4())}, 404, "query"),
        ({"query": "not-a-uuid"}, 400, "query"),
    ],
)
def test_a_problem_names_the_field(client: Client, shop: None, asked: dict, status: int, field: str) -> None:
    if "photo" in asked:
        asked = {**asked, "photo": photo(asked["photo"])}
    response = client.post("/api/v1/search/", asked)
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert list(problem["errors"]) == [field]
    assert problem["status"] == status
    assert problem["detail"]


def test_a_photo_larger_than_the_limit_is_refused(client: Client, shop: None, settings) -> None:
    settings.PHOTO_MAX_BYTES = 1000
    response = client.post("/api/v1/search/", {"photo": photo()})
    assert response.status_code == 400
    assert "MB" in response.json()["errors"]["photo"][0]


def test_products_are_listed_shown_and_compared(client: Client, shop: None) -> None:
    page = client.get("/api/v1/products/?limit=5&title=dress").json()
    assert page["count"] == Product.objects.filter(title__icontains="dress").count()
    shown = client.get("/api/v1/products/D003/").json()
    assert shown["sku"] == "D003"
    assert {"group", "value", "source", "confidence"} == set(shown["attributes"][0])
    alike = client.get("/api/v1/products/D003/similar/?where=price<=20&limit=3").json()
    assert alike["total"] == 10
    assert "D003" not in [r["sku"] for r in alike["results"]]
    assert client.get("/api/v1/products/nobody/").status_code == 404
    assert client.get("/api/v1/products/nobody/similar/").status_code == 404
    assert client.get("/api/v1/products/D003/similar/?where=x").json()["errors"] == {"where": [
        "'x' is not a filter; write group=value, group!=value, group=a+b or price>=20"]}  # fmt: skip


def test_writing_needs_a_token_and_a_role(client: Client, shop: None, merchandiser: User) -> None:
    new = {"sku": "N1", "title": "New dress", "photo": photo(), "labels": json.dumps({"colour": ["red"]})}
    assert client.post("/api/v1/products/", new).status_code == 401
    nobody = Token.objects.create(user=User.objects.create_user("nobody"))
    headers = {"authorization": f"Token {nobody.key}"}
    assert client.post("/api/v1/products/", {**new, "photo": photo()}, headers=headers).status_code == 403
    assert client.delete("/api/v1/products/D000/", headers=headers).status_code == 403
    assert Product.objects.count() == N_PRODUCTS


def test_a_program_adds_changes_and_deletes(client: Client, shop: None, merchandiser: User) -> None:
    headers = {"authorization": f"Token {Token.objects.create(user=merchandiser).key}"}
    new = {
        "sku": "N1",
        "title": "New dress",
        "photo": photo(),
        "price": "12.50",
        "labels": json.dumps({"colour": ["red"]}),
    }
    response = client.post("/api/v1/products/", new, headers=headers)
    assert response.status_code == 201, response.content
    assert client.post("/api/v1/products/", {**new, "photo": photo()}, headers=headers).status_code == 409
    indexing.drain()
    assert search(client, photo=photo())["total"] == N_PRODUCTS + 1
    changed = client.patch("/api/v1/products/N1/", {"title": "Newer"}, "application/json", headers=headers)
    assert changed.json()["title"] == "Newer"
    assert changed.json()["price"] == "12.50"
    assert (
        client.patch("/api/v1/products/N1/", {"published": False}, "application/json", headers=headers).status_code
        == 200
    )
    indexing.drain()
    assert search(client, photo=photo())["total"] == N_PRODUCTS
    assert client.get("/api/v1/products/N1/").status_code == 404
    wrong = client.patch("/api/v1/products/N1/", {"labels": {"colour": ["mauve"]}}, "application/json", headers=headers)
    assert wrong.status_code == 400
    assert list(wrong.json()["errors"]) == ["labels"]
    assert client.delete("/api/v1/products/N1/", headers=headers).status_code == 204


def test_a_bad_photo_of_a_product_is_a_problem_and_writes_nothing(
    client: Client, shop: None, merchandiser: User
) -> None:
    headers = {"authorization": f"Token {Token.objects.create(user=merchandiser).key}"}
    for content in (b"", b"nothing", None):
        new = {"sku": "N1", "title": "New"} | ({} if content is None else {"photo": photo(content)})
        response = client.post("/api/v1/products/", new, headers=headers)
        assert response.status_code == 400
        assert list(response.json()["errors"]) == ["photo"]
    assert Product.objects.count() == N_PRODUCTS


def test_searches_are_throttled(client: Client, shop: None, settings) -> None:
    from django.core.cache import cache

    cache.clear()
    settings.SEARCH_RATE = "2/min"
    codes = [client.post("/api/v1/search/", {}).status_code for _ in range(4)]
    assert codes == [400, 400, 429, 429]
    cache.clear()


def test_other_sites_may_ask_only_where_that_is_allowed(client: Client, shop: None, settings) -> None:
    from corsheaders.conf import conf

    assert conf.CORS_ALLOWED_ORIGINS == []
    settings.CORS_ALLOWED_ORIGINS = ["https://shop.example"]
    allowed = client.get("/api/v1/products/?limit=1", headers={"origin": "https://shop.example"})
    assert allowed["Access-Control-Allow-Origin"] == "https://shop.example"
    other = client.get("/api/v1/products/?limit=1", headers={"origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in other


def test_the_schema_is_valid_and_has_pages(client: Client, shop: None) -> None:
    schema = client.get("/api/v1/schema/?format=json").json()
    assert {"/api/v1/search/", "/api/v1/products/", "/api/v1/products/{sku}/similar/"} <= set(schema["paths"])
    assert client.get("/api/v1/docs/").status_code == 200
