"""How Django knows this app."""

from django.apps import AppConfig


class StorefrontConfig(AppConfig):
    """Settings of the app."""

    name = "webapp.storefront"
    label = "storefront"
    verbose_name = "Storefront"
    default_auto_field = "django.db.models.BigAutoField"
