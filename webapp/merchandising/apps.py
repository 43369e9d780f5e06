"""How Django knows this app."""

from django.apps import AppConfig


class MerchandisingConfig(AppConfig):
    """Settings of the app."""

    name = "webapp.merchandising"
    label = "merchandising"
    verbose_name = "Merchandising"
    default_auto_field = "django.db.models.BigAutoField"
