"""How things look as JSON."""

from typing import Any, ClassVar

from django.http import HttpRequest
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from attributes.vocabulary import UnknownAttribute
from search.query import Why
from webapp.catalog.engine import vocabulary
from webapp.catalog.labels import check, effective
from webapp.catalog.models import Product
from webapp.catalog.shopping import Found, Result


class LabelField(serializers.Serializer[Any]):
    """A label of a product."""

    group = serializers.CharField()
    value = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # a field of ours, not the serializer's own
    confidence = serializers.FloatField(allow_null=True)


class ProductSerializer(serializers.ModelSerializer[Product]):
    """A product with the labels that hold."""

    attributes = serializers.SerializerMethodField()
    region = serializers.CharField(source="given_box", required=False, allow_blank=True, help_text="x0,y0,x1,y1")

    class Meta:
        model = Product
        fields: ClassVar = [
            "sku", "title", "description", "price", "url", "photo", "region", "published", "attributes", "created",
            "updated",
        ]  # fmt: skip

    @extend_schema_field(LabelField(many=True))
    def get_attributes(self, product: Product) -> list[dict[str, object]]:
        """The labels that hold, in vocabulary order."""
        return [dict(s._asdict()) for s in effective(product.labels.all(), vocabulary())]


class NewProductSerializer(serializers.ModelSerializer[Product]):
    """What a program may say of a product."""

    photo = serializers.FileField(required=False, help_text="JPEG, PNG, WebP, AVIF or HEIC")
    box = serializers.CharField(required=False, allow_blank=True, default="", help_text="x0,y0,x1,y1 in pixels")
    labels = serializers.JSONField(
        required=False, help_text='{"group": ["value"]}; [] says "none"; the category is a group'
    )

    class Meta:
        model = Product
        fields: ClassVar = ["sku", "title", "description", "price", "url", "photo", "box", "published", "labels"]
        extra_kwargs: ClassVar[dict[str, Any]] = {"sku": {"validators": []}}

    def validate_labels(self, labels: Any) -> dict[str, list[str]]:
        """Check groups and values."""
        if not isinstance(labels, dict) or not all(
            isinstance(v, list) and all(isinstance(x, str) for x in v) for v in labels.values()
        ):
            raise serializers.ValidationError('expected {"group": ["value"]}')
        try:
            for group, values in labels.items():
                check(vocabulary(), group, values) if values else vocabulary().values(group)
        except (UnknownAttribute, ValueError) as wrong:
            raise serializers.ValidationError(str(wrong)) from wrong
        return labels


class SearchRequest(serializers.Serializer[Any]):
    """A search; `photo` or `query` must be there."""

    photo = serializers.FileField(required=False)
    query = serializers.UUIDField(required=False, help_text="id of an earlier search's photo")
    category = serializers.CharField(required=False)
    box = serializers.CharField(required=False, help_text="x0,y0,x1,y1 in pixels of the photo")
    where = serializers.ListField(child=serializers.CharField(), required=False, default=list)
    limit = serializers.IntegerField(min_value=1, max_value=200, default=24)
    offset = serializers.IntegerField(min_value=0, max_value=1_000_000, default=0)
    generation = serializers.IntegerField(min_value=0, required=False, allow_null=True, default=None)


class SimilarRequest(serializers.Serializer[Any]):
    """Filters and page of a search by product."""

    where = serializers.ListField(child=serializers.CharField(), required=False, default=list)
    limit = serializers.IntegerField(min_value=1, max_value=200, default=24)
    offset = serializers.IntegerField(min_value=0, max_value=1_000_000, default=0)
    generation = serializers.IntegerField(min_value=0, required=False, allow_null=True, default=None)


class ReadAttribute(serializers.Serializer[Any]):
    """A label read from the photo."""

    group = serializers.CharField()
    value = serializers.CharField()
    confidence = serializers.FloatField()


class FoundGarment(serializers.Serializer[Any]):
    """A garment found in the photo."""

    category = serializers.CharField()
    score = serializers.FloatField()
    box = serializers.ListField(child=serializers.FloatField(), min_length=4, max_length=4)


class QueryAnswer(serializers.Serializer[Any]):
    """What was made of the photo. origin: guide, related, whole or drawn: how the region came to be chosen."""

    id = serializers.UUIDField()
    category = serializers.CharField()
    confidence = serializers.FloatField()
    categories = ReadAttribute(many=True)
    box = serializers.ListField(child=serializers.FloatField())
    origin = serializers.CharField()
    attributes = ReadAttribute(many=True)
    garments = FoundGarment(many=True)


class ResultAnswer(serializers.Serializer[Any]):
    """A product that was found. `breaks`: filters that it does not match (relaxed results only)."""

    sku = serializers.CharField()
    title = serializers.CharField()
    photo = serializers.CharField()
    url = serializers.CharField()
    price = serializers.CharField(allow_null=True)
    distance = serializers.FloatField()
    attributes = LabelField(many=True)
    why = serializers.DictField()
    breaks = serializers.ListField(child=serializers.CharField(), required=False)


class SearchAnswer(serializers.Serializer[Any]):
    """The answer to a search."""

    query = QueryAnswer(required=False)
    generation = serializers.IntegerField()
    total = serializers.IntegerField()
    facets = serializers.DictField(child=serializers.DictField(child=serializers.IntegerField()))
    results = ResultAnswer(many=True)
    relaxed = ResultAnswer(many=True)
    took_ms = serializers.FloatField()


def answer_json(found: Found, request: HttpRequest, took_ms: float) -> dict[str, object]:
    """A search's answer as in docs/api.md, without the query."""
    return {
        "generation": found.answer.generation,
        "total": found.answer.total,
        "facets": found.answer.facets,
        "results": [_result(r, request) for r in found.results],
        "relaxed": [{**_result(r, request), "breaks": list(r.hit.breaks)} for r in found.relaxed],
        "took_ms": round(took_ms, 1),
    }


def query_json(found: Found, photo_id: str, size: tuple[int, int]) -> dict[str, object]:
    """What was made of the photo.  size: its width and height."""
    seen = found.seen
    if seen is None:
        return {}
    read = [r._asdict() for r in seen.reading.read]
    return {
        "id": photo_id,
        "category": seen.reading.category,
        "confidence": round(seen.reading.read[0].confidence, 4),
        "categories": [c._asdict() for c in seen.reading.categories[:4]],
        "box": [round(c, 1) for c in (seen.region.box or (0, 0, *size))],
        "origin": seen.region.origin.value,
        "attributes": [{**r, "confidence": round(float(r["confidence"]), 4)} for r in read],
        "garments": [
            {"category": g.category, "score": round(g.score, 4), "box": [round(c, 1) for c in g.box]}
            for g in seen.garments
        ],
    }


def _result(result: Result, request: HttpRequest) -> dict[str, object]:
    product = result.product
    return {
        "sku": product.sku,
        "title": product.title,
        "photo": request.build_absolute_uri(product.photo.url),
        "url": product.url or request.build_absolute_uri(product.get_absolute_url()),
        "price": None if product.price is None else str(product.price),
        "distance": round(result.hit.distance, 6),
        "attributes": [s._asdict() for s in result.labels],
        "why": _why(result.hit.why),
    }


def _why(why: Why | None) -> dict[str, object]:
    if why is None:
        return {}
    labels = vocabulary().labels
    named = {"shared": why.shared, "missing": why.missing}
    return {
        "code": round(why.code, 4),
        "colour": round(why.colour, 4),
        "labels": round(why.labels, 4),
        "weights": why.weights._asdict(),
        **{k: ["=".join(labels[i]) for i in ids] for k, ids in named.items()},
    }
