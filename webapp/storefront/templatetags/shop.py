"""How products look in templates: their tile, their price."""

from decimal import Decimal

from django import template
from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString

from webapp.catalog.indexing import TILE
from webapp.catalog.models import Product

register = template.Library()
SIGNS = {"EUR": "€", "USD": "$", "GBP": "£"}


@register.simple_tag
def tile(product: Product) -> SafeString:
    """The product's own region in 4:5; its whole photo while that was not looked at; a blank when there is none."""
    name = product.tile or product.photo.name
    if not name:
        return format_html('<span class="blank" role="img" aria-label="no photo"></span>')
    width, height = TILE
    return format_html(
        '<img src="{}{}" alt="{}" width="{}" height="{}" loading="lazy" decoding="async">',
        settings.MEDIA_URL, name, product.title, width, height,
    )  # fmt: skip


@register.filter
def money(price: Decimal) -> str:
    """A price with the shop's currency."""
    sign = SIGNS.get(settings.CURRENCY, settings.CURRENCY + " ")
    return f"{sign}{price:,.2f}"
