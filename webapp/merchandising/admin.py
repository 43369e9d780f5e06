"""The admin: products with their region and labels, corrections, jobs, people."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from import_export.admin import ExportActionMixin
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin
from unfold.contrib.import_export.forms import ExportForm
from unfold.decorators import action, display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from webapp.catalog import services
from webapp.catalog.engine import vocabulary
from webapp.catalog.labels import effective
from webapp.catalog.models import Correction, Job, Product
from webapp.merchandising import desk, health, importing
from webapp.merchandising.export import ProductResource
from webapp.merchandising.filters import CategoryFilter, IndexedFilter, UnsureFilter, WordsDisagreeFilter

admin.site.unregister(User)
admin.site.unregister(Group)

View = Callable[..., HttpResponse]


@admin.register(Product)
class ProductAdmin(SimpleHistoryAdmin, ExportActionMixin, ModelAdmin):  # type: ignore[misc]
    """Dense table with pictures; labels are corrected at the desk."""

    resource_classes: ClassVar = [ProductResource]
    export_form_class = ExportForm
    list_display = ("picture", "title", "sku", "words", "price", "published", "state")
    list_display_links = ("picture", "title")
    list_filter = ("published", CategoryFilter, UnsureFilter, WordsDisagreeFilter, IndexedFilter)
    search_fields = ("sku", "title", "description")
    list_per_page = 50
    fields = ("title", "sku", "description", "price", "url", "photo", "given_box", "published", "region_shown", "words")
    readonly_fields = ("region_shown", "words")
    actions = ("publish", "withdraw")
    actions_detail = ("open_desk",)
    history_list_display: ClassVar = ["title", "price", "published"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Product]:
        """With the labels."""
        products: QuerySet[Product] = super().get_queryset(request)
        return products.prefetch_related("labels")

    @display(description="")
    def picture(self, product: Product) -> SafeString:
        """The product's own region."""
        name = product.tile or product.photo.name
        return format_html(
            '<img class="desk-thumb" src="/media/{}" alt="" width="48" height="60" loading="lazy">', name
        )

    @display(description="labels")
    def words(self, product: Product) -> SafeString:
        """The labels that hold; the merchandiser's are underlined, the model's show how sure it is."""
        return format_html_join(
            " ", '<span class="desk-label {}" title="{}: {}{}">{}</span>',
            ((s.source, s.group, s.source, "" if s.confidence is None else f", {s.confidence:.0%}", s.value)
             for s in effective(product.labels.all(), vocabulary())),
        )  # fmt: skip

    @display(description="in search")
    def state(self, product: Product) -> str:
        """Whether shoppers can find it, in words."""
        if product.problem:
            return product.problem
        if not product.published:
            return "withdrawn"
        return "yes" if product.seen_with else "waiting"

    @display(description="region")
    def region_shown(self, product: Product) -> SafeString | str:
        """The photo with the region that counts."""
        if product.pk is None:
            return "-"
        return desk.photo_with_region(product)

    @action(description="Correct labels", url_path="desk")
    def open_desk(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to the label desk at this product."""
        return redirect("admin:label-desk-product", object_id)

    @admin.action(description="Publish", permissions=["change"])
    def publish(self, request: HttpRequest, products: QuerySet[Product]) -> None:
        """Show to shoppers."""
        messages.success(request, f"{services.publish(products, True)} products are published now.")

    @admin.action(description="Withdraw", permissions=["change"])
    def withdraw(self, request: HttpRequest, products: QuerySet[Product]) -> None:
        """Hide from shoppers."""
        messages.success(request, f"{services.publish(products, False)} products are withdrawn now.")

    def save_model(self, request: HttpRequest, obj: Product, form: "ModelForm[Product]", change: bool) -> None:
        """Save by the catalogue's rules; a new photo is decoded, cleaned and looked at again."""
        with transaction.atomic():
            if "photo" in form.changed_data:
                services.store_photo(obj, form.cleaned_data["photo"].read())
            if "given_box" in form.changed_data:
                services.forget_seen(obj)
            super().save_model(request, obj, form, change)
            services.enqueue([obj.sku])

    def get_form(self, request: HttpRequest, obj: Product | None = None, change: bool = False, **kwargs: Any) -> Any:
        """The form, which refuses a photo that cannot be read and a region outside it."""
        form = super().get_form(request, obj, change, **kwargs)
        return importing.with_photo_check(form)

    def delete_model(self, request: HttpRequest, obj: Product) -> None:
        """Delete from search too."""
        services.delete([obj])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Product]) -> None:
        """Delete from search too."""
        services.delete(queryset)

    def get_readonly_fields(self, request: HttpRequest, obj: Product | None = None) -> tuple[str, ...]:
        """A SKU is for life: the index knows the product by it."""
        return (*self.readonly_fields, "sku") if obj else self.readonly_fields

    def get_urls(self) -> list[URLPattern]:
        """The desk, the import and the health page live beside the products."""
        wrap: Callable[[View], View] = self.admin_site.admin_view
        return [
            path("desk/", wrap(desk.first), name="label-desk"),
            path("desk/<int:pk>/", wrap(desk.show), name="label-desk-product"),
            path("desk/<int:pk>/correct/", wrap(desk.correct), name="label-desk-correct"),
            path("desk/<int:pk>/undo/", wrap(desk.undo), name="label-desk-undo"),
            path("import/", wrap(importing.start), name="import-catalogue"),
            path("import/template.csv", wrap(importing.template), name="import-template"),
            path("import/<uuid:upload>/", wrap(importing.preview), name="import-preview"),
            path("health/", wrap(health.show), name="health"),
            *super().get_urls(),
        ]


@admin.register(Correction)
class CorrectionAdmin(ModelAdmin):  # type: ignore[misc]
    """Who changed what, one click back."""

    list_display = ("at", "product_link", "group", "change", "who", "undone")
    list_filter = ("group", "undone", "who")
    search_fields = ("product__sku", "product__title")
    actions = ("undo",)
    list_select_related = ("product", "who")

    @display(description="product")
    def product_link(self, correction: Correction) -> SafeString:
        """To the desk."""
        href = reverse("admin:label-desk-product", args=[correction.product_id])
        return format_html('<a href="{}">{}</a>', href, correction.product.title)

    @display(description="change")
    def change(self, correction: Correction) -> str:
        """Before and after."""
        return f"{_said(correction.before)} → {_said(correction.after)}"

    @admin.action(description="Undo")
    def undo(self, request: HttpRequest, corrections: QuerySet[Correction]) -> None:
        """Bring back what was said before."""
        if not request.user.has_perm("catalog.change_product"):
            messages.error(request, "You may not change products.")
            return
        for correction in corrections:
            services.undo(correction, request.user)
        messages.success(request, "Undone.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Corrections are made at the desk."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Correction | None = None) -> bool:
        """History is not edited."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Correction | None = None) -> bool:
        """History is not deleted."""
        return False


def _said(values: list[str] | None) -> str:
    if values is None:
        return "not said"
    return ", ".join(values) or "none"


@admin.register(Job)
class JobAdmin(ModelAdmin):  # type: ignore[misc]
    """Long work."""

    list_display = ("kind", "state", "n_done", "n_total", "started", "updated", "message")
    list_filter = ("kind", "state")

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Jobs are made by what they do."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Job | None = None) -> bool:
        """Jobs are read."""
        return False


@admin.register(User)
class PersonAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[misc]
    """People who may sign in."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class RoleAdmin(DjangoGroupAdmin, ModelAdmin):  # type: ignore[misc]
    """Roles."""
