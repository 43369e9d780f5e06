"""The endpoints: each parses, calls one function of the catalogue, and answers."""

import json
import time
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import QueryDict
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import permissions, status, viewsets
from rest_framework.decorators import action
from rest_framework.parsers import FormParser, JSONParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from attributes.vocabulary import UnknownAttribute
from search.engine import Page
from search.where import parse_where
from webapp.api.problems import Wrong
from webapp.api.serializers import (
    NewProductSerializer,
    ProductSerializer,
    SearchAnswer,
    SearchRequest,
    SimilarRequest,
    answer_json,
    query_json,
)
from webapp.catalog import photos, services, shopping
from webapp.catalog.engine import vocabulary
from webapp.catalog.models import Product
from webapp.catalog.services import NewProduct
from webapp.catalog.shopping import Wish


class Search(APIView):
    """Search by photo."""

    permission_classes = [permissions.AllowAny]
    parser_classes = [MultiPartParser, FormParser, JSONParser]

    @extend_schema(request=SearchRequest, responses=SearchAnswer)
    def post(self, request: Request) -> Response:
        """Find products that look like the garment in a photo.

        Send `photo`, or the `query` id of an earlier answer to filter, page or re-box without sending it again.
        `category` and `where` filter exactly; `box` picks the region and filters nothing.
        """
        started = time.perf_counter()
        asked = _asked(SearchRequest, request.data)
        if ("photo" in asked) == ("query" in asked):
            raise Wrong("photo", "send either a photo or the query id of an earlier search")
        category = asked.get("category") or None
        if category is not None:
            _check_category(category)
        box = shopping.parse_box(asked.get("box", ""))
        where = parse_where(asked["where"], vocabulary())
        photo = photos.keep(asked["photo"].read()) if "photo" in asked else photos.find(asked["query"])
        page = Page(asked["limit"], asked["offset"], asked["generation"])
        found = shopping.find(Wish(photo=photo, category=category, box=box, where=where, page=page))
        took_ms = (time.perf_counter() - started) * 1000
        query = query_json(found, str(photo.id), (photo.width, photo.height))
        return Response({"query": query, **answer_json(found, request, took_ms)})


class ProductFilter(filters.FilterSet):  # type: ignore[misc]
    """Filters of the product list; search by photo or by similarity filters with `where`."""

    title = filters.CharFilter(lookup_expr="icontains", label="words in the title")
    price_min = filters.NumberFilter("price", "gte")
    price_max = filters.NumberFilter("price", "lte")
    updated_since = filters.IsoDateTimeFilter("updated", "gte")

    class Meta:
        model = Product
        fields: ClassVar = ["published"]


class Products(viewsets.GenericViewSet[Product]):
    """The catalogue."""

    serializer_class = ProductSerializer
    lookup_field = "sku"
    lookup_value_regex = r"[\w.-]+"
    filterset_class = ProductFilter
    queryset = Product.objects.all()
    parser_classes = [MultiPartParser, FormParser, JSONParser]

    def get_queryset(self) -> QuerySet[Product]:
        """What the caller may see: those who may change products see the withdrawn ones too."""
        products = Product.objects.with_labels()
        return products if self.request.user.has_perm("catalog.change_product") else products.on_sale()

    def list(self, request: Request) -> Response:
        """The catalogue, newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page or [], many=True).data)

    def retrieve(self, request: Request, sku: str) -> Response:
        """One product."""
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=NewProductSerializer, responses=ProductSerializer)
    def create(self, request: Request) -> Response:
        """Add a product."""
        asked = _asked(NewProductSerializer, request.data)
        if Product.objects.filter(sku=asked["sku"]).exists():
            raise Wrong("sku", f"there is a product {asked['sku']} already", status.HTTP_409_CONFLICT)
        return self._saved(asked, status.HTTP_201_CREATED)

    @extend_schema(request=NewProductSerializer(partial=True), responses=ProductSerializer)
    def partial_update(self, request: Request, sku: str) -> Response:
        """Change what is named of a product; labels that are named replace the import's."""
        product = self.get_object()
        asked = _asked(NewProductSerializer, request.data, partial=True)
        kept = {f: getattr(product, f) for f in ("title", "description", "price", "url")}
        return self._saved({**kept, "box": product.given_box, **asked, "sku": product.sku}, status.HTTP_200_OK)

    def destroy(self, request: Request, sku: str) -> Response:
        """Delete a product."""
        services.delete([self.get_object()])
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(
        parameters=[SimilarRequest, OpenApiParameter("where", str, many=True)], responses=SearchAnswer, filters=False
    )
    @action(detail=True, pagination_class=None)
    def similar(self, request: Request, sku: str) -> Response:
        """Products that look like this one, filtered with `where`."""
        started = time.perf_counter()
        self.get_object()
        asked = _asked(SimilarRequest, request.query_params)
        page = Page(asked["limit"], asked["offset"], asked["generation"])
        found = shopping.find(Wish(sku=sku, where=parse_where(asked["where"], vocabulary()), page=page))
        return Response(answer_json(found, request, (time.perf_counter() - started) * 1000))

    def _saved(self, asked: dict[str, Any], code: int) -> Response:
        photo = asked.get("photo")
        product, _ = services.save_product(
            NewProduct(
                asked["sku"], asked["title"], photo.read() if photo else None, asked.get("description", ""),
                asked.get("price"), asked.get("url", ""), asked.get("box", ""), asked.get("labels"),
            )
        )  # fmt: skip
        if "published" in asked:
            services.publish([product], asked["published"])
        return Response(self.get_serializer(product).data, code)


def _asked(kind: type[Any], said: Any, partial: bool = False) -> dict[str, Any]:
    """Parse and check a request; a form's repeated `where` is a list."""
    if isinstance(said, QueryDict):
        plain: dict[str, Any] = {k: v for k, v in said.items() if k != "where"}
        said = {**plain, "where": said.getlist("where")} if "where" in said else plain
        if isinstance(said.get("labels"), str):
            said["labels"] = _json(said["labels"])
    parsed = kind(data=said, partial=partial)
    parsed.is_valid(raise_exception=True)
    return dict(parsed.validated_data)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as wrong:
        raise Wrong("labels", f"this is not JSON: {wrong}") from wrong


def _check_category(category: str) -> None:
    try:
        vocabulary().check_category(category)
    except UnknownAttribute as wrong:
        raise Wrong("category", str(wrong)) from wrong
