"""Saved views of the product table: unsure labels, titles that disagree, photos without a region."""

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest

from attributes.meta import named_categories
from webapp.catalog.engine import vocabulary
from webapp.catalog.models import Label, Product, Source

UNSURE = 0.6  # a model's label below this is worth a look
N_READ = 5000  # titles compared with their photos in one request


class CategoryFilter(admin.SimpleListFilter):
    """By category, whoever says it."""

    title = "category"
    parameter_name = "category"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """All categories."""
        return [(name, name) for name in vocabulary().category_names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        """Products that any source puts in the category."""
        if not self.value():
            return queryset
        return queryset.filter(
            Exists(Label.objects.filter(product=OuterRef("pk"), group="category", value=self.value()))
        )


class UnsureFilter(admin.SimpleListFilter):
    """Products with a label of which the model is not sure and nobody has said otherwise."""

    title = "unsure label"
    parameter_name = "unsure"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Any group, or one."""
        return [("any", "any"), ("category", "category"), *((g, g) for g in vocabulary().groups)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        """Below UNSURE."""
        if not self.value():
            return queryset
        unsure = Label.objects.filter(product=OuterRef("pk"), source=Source.MODEL, confidence__lt=UNSURE)
        corrected = Label.objects.filter(product=OuterRef("pk"), source=Source.MERCHANDISER)
        if self.value() != "any":
            unsure, corrected = unsure.filter(group=self.value()), corrected.filter(group=self.value())
        return queryset.filter(Exists(unsure) & ~Exists(corrected))


class WordsDisagreeFilter(admin.SimpleListFilter):
    """Products whose title names another category than holds."""

    title = "title"
    parameter_name = "title_says"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """One view."""
        return [("disagrees", "disagrees with the category")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        """Compares titles with the category of import and merchandiser, else the model's."""
        if not self.value():
            return queryset
        said = Label.objects.filter(group="category", product__in=queryset).values_list("product_id", "source", "value")
        best: dict[int, tuple[int, str]] = {}
        for pk, source, value in said:
            best[pk] = min(best.get(pk, (9, "")), (Source.values.index(source), value))
        wrong = []
        for pk, title in queryset.values_list("pk", "title")[:N_READ]:
            named = named_categories(vocabulary(), title)
            if named and pk in best and named[0].category != best[pk][1]:
                wrong.append(pk)
        return queryset.filter(pk__in=wrong)


class IndexedFilter(admin.SimpleListFilter):
    """By how far a product has come."""

    title = "photo"
    parameter_name = "photo_state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """What can be wrong with a photo."""
        return [("whole", "no region found"), ("problem", "cannot be read"), ("waiting", "not looked at yet")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> QuerySet[Product]:
        """One of them."""
        views = {
            "whole": Q(given_box="", seen_box="") & ~Q(seen_with=""),
            "problem": ~Q(problem=""),
            "waiting": Q(seen_with="", problem=""),
        }
        chosen = views.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(chosen)
