"""The label desk: one garment large, its groups as rows, one key to accept or correct."""

from typing import NamedTuple

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, F, Max, Min, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET, require_POST

from attributes.meta import named_categories
from attributes.vocabulary import UnknownAttribute
from webapp.catalog import services
from webapp.catalog.engine import vocabulary
from webapp.catalog.labels import effective, said_by
from webapp.catalog.models import Correction, Disagreement, Label, Product, Source

N_KEYS = 9  # values that number keys choose


class Choice(NamedTuple):
    """A value of a row. key: the number that toggles it, 0 for none; sure: the model's confidence in per cent."""

    value: str
    held: bool
    key: int
    sure: int | None


class Row(NamedTuple):
    """A group: what holds, who says so, and all there is to choose."""

    group: str
    source: str
    held: list[str]
    choices: list[Choice]
    multi: bool
    silent: bool


def queue() -> QuerySet[Product]:
    """What to look at first, of the products that nobody corrected: those whose title and photo disagree, the surest
    disagreement before others, then those of which the model is least sure."""
    corrected = Label.objects.filter(product=OuterRef("pk"), source=Source.MERCHANDISER)
    unsure = Min("labels__confidence", filter=Q(labels__source=Source.MODEL))
    return (
        Product.objects.exclude(seen_with="")
        .filter(~Exists(corrected))
        .annotate(unsure=unsure, doubt=Max("disagreements__sure"))
        .order_by(F("doubt").desc(nulls_last=True), "unsure", "pk")
    )


@require_GET
def first(request: HttpRequest) -> HttpResponse:
    """Lead to the product that most needs a look."""
    _may(request)
    product = queue().first()
    if product is None:
        messages.info(request, "Every product has been looked at.")
        return redirect("admin:catalog_product_changelist")
    return redirect("admin:label-desk-product", product.pk)


@require_GET
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """The desk at one product."""
    _may(request)
    product = get_object_or_404(Product.objects.with_labels(), pk=pk)
    following = queue().exclude(pk=pk).first()
    today = Correction.objects.filter(who=request.user.pk, at__date=timezone.localdate()).values("product").distinct()
    context = {
        **admin.site.each_context(request),
        "title": product.title, "product": product, "rows": rows(product), "photo": photo_with_region(product),
        "disagreements": _open(product), "following": following, "n_today": today.count(), "named": _named(product),
        "corrections": product.corrections.select_related("who")[:8],
    }  # fmt: skip
    return render(request, "merchandising/desk.html", context)


@require_POST
def correct(request: HttpRequest, pk: int) -> HttpResponse:
    """Save one row, or accept the whole product as it stands."""
    _may(request)
    product = get_object_or_404(Product.objects.with_labels(), pk=pk)
    group = request.POST.get("group", "")
    if request.POST.get("accept"):
        for row in rows(product):
            if row.held and row.source != Source.MERCHANDISER:
                services.correct(product, row.group, row.held, request.user)
        following = queue().exclude(pk=pk).first()
        return redirect("admin:label-desk-product", following.pk if following else pk)
    values = request.POST.getlist("value")
    try:
        told = None if request.POST.get("silence") else [v for v in values if v]
        services.correct(product, group, told, request.user)
    except (UnknownAttribute, ValueError) as wrong:
        messages.error(request, f"Not saved: {wrong}.")
    return redirect("admin:label-desk-product", pk)


@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back this person's last correction of the product, or the one named."""
    _may(request)
    own = Correction.objects.filter(product_id=pk, undone=False)
    named = request.POST.get("correction", "")
    last = own.filter(pk=named).first() if named.isdigit() else own.filter(who=request.user.pk).first()
    if last is None:
        messages.info(request, "There is nothing to undo here.")
    else:
        undone = services.undo(last, request.user)
        undone.undone = True  # an undoing is not undone by the next U
        undone.save(update_fields=["undone"])
    return redirect("admin:label-desk-product", pk)


def rows(product: Product) -> list[Row]:
    """A row for every group that applies to the product's category."""
    words, labels = vocabulary(), list(product.labels.all())
    held = effective(labels, words)
    category = next((s.value for s in held if s.group == "category"), "")
    sure = {(x.group, x.value): round((x.confidence or 0) * 100) for x in labels if x.source == Source.MODEL}
    table = []
    for group in ("category", *words.groups):
        if group != "category" and (not category or not words.applies(group, category)):
            continue
        own = [s for s in held if s.group == group]
        values = [s.value for s in own]
        ordered = sorted(words.values(group), key=lambda v, g=group: -sure.get((g, v), 0))  # type: ignore[misc]
        choices = [
            Choice(v, v in values, i + 1 if i < N_KEYS else 0, sure.get((group, v))) for i, v in enumerate(ordered)
        ]
        silent = said_by(product, Source.MERCHANDISER, group) is None
        multi = group != "category" and words.groups[group].max > 1
        table.append(Row(group, own[0].source if own else "", values, choices, multi, silent))
    return table


def _open(product: Product) -> list[Disagreement]:
    """The disagreements in groups of which no merchandiser has spoken yet."""
    return [d for d in product.disagreements.all() if said_by(product, Source.MERCHANDISER, d.group) is None]


def photo_with_region(product: Product) -> SafeString:
    """The photo with its region outlined."""
    box = product.region
    if not product.photo.width or box is None:
        return format_html('<div class="desk-photo"><img src="{}" alt="{}"></div>', product.photo.url, product.title)
    width, height = product.photo.width, product.photo.height
    share = [round(100 * box.x0 / width), round(100 * box.y0 / height)]
    share += [round(100 * (box.x1 - box.x0) / width), round(100 * (box.y1 - box.y0) / height)]
    return format_html(
        '<div class="desk-photo"><img src="{}" alt="{}"><span class="desk-region" '
        'style="left:{}%;top:{}%;width:{}%;height:{}%"></span></div>',
        product.photo.url, product.title, *share,
    )  # fmt: skip


def _named(product: Product) -> SafeString:
    """The title with the category that it names marked."""
    named = [n for n in named_categories(vocabulary(), product.title) if n.end <= len(product.title)]
    if not named:
        return format_html("{}", product.title)
    start, end = named[0].start, named[0].end
    title = product.title
    return format_html("{}<mark>{}</mark>{}", title[:start], title[start:end], title[end:])


def _may(request: HttpRequest) -> None:
    if not request.user.has_perm("catalog.change_product"):
        raise PermissionDenied
