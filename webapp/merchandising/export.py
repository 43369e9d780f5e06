"""Products as a file that can be imported again."""

from typing import ClassVar

from import_export import fields, resources

from webapp.catalog.engine import vocabulary
from webapp.catalog.labels import effective
from webapp.catalog.models import Product


class ProductResource(resources.ModelResource):  # type: ignore[misc]
    """The columns of the import: the product's own and one per group, with the labels that hold."""

    box = fields.Field(attribute="given_box", column_name="box")

    class Meta:
        model = Product
        fields: ClassVar = ["sku", "title", "photo", "description", "price", "url", "box"]
        export_order: ClassVar = ["sku", "title", "photo", "description", "price", "url", "box"]

    def get_export_headers(self, selected_fields: list[str] | None = None) -> list[str]:
        """Own columns, then the groups."""
        return [*super().get_export_headers(selected_fields), "category", *vocabulary().groups]

    def export_resource(
        self, instance: Product, selected_fields: list[str] | None = None, **kwargs: object
    ) -> list[str]:
        """One row."""
        held: dict[str, list[str]] = {}
        for label in effective(instance.labels.all(), vocabulary()):
            held.setdefault(label.group, []).append(label.value)
        own: list[str] = super().export_resource(instance, selected_fields, **kwargs)
        return [*own, *(" ".join(held.get(g, ())) for g in ("category", *vocabulary().groups))]
