"""How Django knows this app."""

from django.apps import AppConfig


class ApiConfig(AppConfig):
    """Settings of the app."""

    name = "webapp.api"
    label = "api"
    verbose_name = "Api"
    default_auto_field = "django.db.models.BigAutoField"
