"""How often one address, or one person, may ask."""

from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

if TYPE_CHECKING:  # the views read the throttles while they are themselves being imported
    from rest_framework.views import APIView


class _Throttle(SimpleRateThrottle):
    def get_cache_key(self, request: Request, view: "APIView") -> str:
        """One count per person, or per address."""
        who = request.user.pk if request.user.is_authenticated else self.get_ident(request)
        return self.cache_format % {"scope": self.scope, "ident": who}

    def is_for(self, request: Request, view: "APIView") -> bool:
        """Whether this throttle counts the request."""
        return True

    def allow_request(self, request: Request, view: "APIView") -> bool:
        """Whether there is room for one more."""
        return not self.is_for(request, view) or super().allow_request(request, view)


class SearchThrottle(_Throttle):
    """Searches by photo, the dear ones. HABERDASH_SEARCH_RATE; empty for none."""

    scope = "search"

    def get_rate(self) -> str | None:
        """From the settings."""
        return settings.SEARCH_RATE or None

    def is_for(self, request: Request, view: "APIView") -> bool:
        """By method and address."""
        return request.method == "POST" and request.path.endswith("/search/")


class WriteThrottle(_Throttle):
    """Changes of the catalogue. HABERDASH_WRITE_RATE; empty for none."""

    scope = "write"

    def get_rate(self) -> str | None:
        """From the settings."""
        return settings.WRITE_RATE or None

    def is_for(self, request: Request, view: "APIView") -> bool:
        """By method and address."""
        return request.method not in SAFE_METHODS and not request.path.endswith("/search/")
