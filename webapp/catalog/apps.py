"""How Django knows this app."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Settings of the app."""

    name = "webapp.catalog"
    label = "catalog"
    verbose_name = "Catalog"
    default_auto_field = "django.db.models.BigAutoField"
