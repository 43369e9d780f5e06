"""Errors as application/problem+json (RFC 9457) that name the field that is wrong."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.http import Http404, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from attributes.vocabulary import UnknownAttribute
from recognition.cards import WeightsMismatch
from recognition.images import BadImage
from search.engine import BadBox
from search.following import GenerationGone
from search.index import UnknownProduct
from search.where import BadFilter
from webapp.catalog.admission import Busy
from webapp.catalog.photos import PhotoExpired

# What can go wrong in the rooms below: status and the field that it is about.
_KNOWN: dict[type[Exception], tuple[int, str]] = {
    BadImage: (400, "photo"),
    BadBox: (400, "box"),
    BadFilter: (400, "where"),
    GenerationGone: (409, "generation"),
    UnknownProduct: (404, "sku"),
    PhotoExpired: (404, "query"),
    WeightsMismatch: (503, "model"),
    Busy: (503, "photo"),
}


class Wrong(exceptions.APIException):
    """A request whose `field` is wrong. wait: seconds that the header Retry-After tells."""

    status_code = 400

    def __init__(self, field: str, message: str, status: int = 400, wait: int | None = None) -> None:
        self.status_code, self.wait = status, wait
        super().__init__({field: [message]})


def answer(wrong: Exception, context: Mapping[str, Any]) -> Response | None:
    """Turn any exception into a problem; None (a 500) for what nobody foresaw."""
    for kind, (status, field) in _KNOWN.items():
        if isinstance(wrong, kind):
            wrong = Wrong(field, str(wrong), status, getattr(wrong, "wait", None))
    if isinstance(wrong, UnknownAttribute):
        wrong = Wrong(getattr(wrong, "field", "where"), str(wrong))
    if isinstance(wrong, DjangoValidationError):
        wrong = exceptions.ValidationError(wrong.message_dict)
    if isinstance(wrong, Http404):
        wrong = exceptions.NotFound()
    response = exception_handler(wrong, dict(context))
    if response is None:
        return None
    errors = response.data if isinstance(response.data, dict) and "detail" not in response.data else {}
    detail = "; ".join(f"{field}: {_first(said)}" for field, said in errors.items()) or str(
        response.data.get("detail", "") if isinstance(response.data, dict) else _first(response.data)
    )
    response.data = {
        "type": "about:blank",
        "title": HTTPStatus(response.status_code).phrase,
        "status": response.status_code,
        "detail": detail,
        "errors": errors,
    }
    response.content_type = "application/problem+json"
    return response


def _first(said: object) -> str:
    return str(said[0]) if isinstance(said, list) and said else str(said)


def not_found(status: int = 404) -> JsonResponse:
    """The problem for an address of the API that leads nowhere."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": "", "errors": {}}
    return JsonResponse(body, status=status, content_type="application/problem+json")
