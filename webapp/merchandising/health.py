"""How the shop is doing: the index and its age, what waits, jobs, photos that cannot be read."""

from datetime import UTC, datetime

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from recognition.cards import WeightsMismatch
from search.following import IndexOutdated
from search.packed import CorruptIndex, OldFormat
from webapp.catalog import engine as door
from webapp.catalog.models import Job, OutboxEntry, Product


@require_GET
def show(request: HttpRequest) -> HttpResponse:
    """The health page."""
    oldest = OutboxEntry.objects.first()
    context = {
        **admin.site.each_context(request),
        "title": "Health",
        "index": _index(),
        "n_waiting": OutboxEntry.objects.count(),
        "oldest": oldest.created if oldest else None,
        "n_products": Product.objects.count(),
        "n_published": Product.objects.on_sale().count(),
        "problems": Product.objects.exclude(problem="")[:20],
        "jobs": Job.objects.all()[:10],
    }
    return render(request, "merchandising/health.html", context)


def _index() -> dict[str, object]:
    """Generation, products and age of the index, or what is wrong with it in plain words."""
    try:
        index = door.engine().index
        snapshot = index.snapshot()
        changed = max((f.stat().st_mtime for f in settings.INDEX_DIR.glob("*") if f.name != "LOCK"), default=None)
    except (CorruptIndex, IndexOutdated, OldFormat, WeightsMismatch) as wrong:
        return {"wrong": str(wrong)}
    return {
        "generation": snapshot.generation,
        "n_products": len(snapshot),
        "changed": datetime.fromtimestamp(changed, UTC) if changed else None,
        "features": index.schema.features,
    }
