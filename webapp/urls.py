"""Which address leads where."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/", include("webapp.api.urls")),
    path("", include("webapp.storefront.urls")),
]
handler404 = "webapp.storefront.views.not_found"
handler500 = "webapp.storefront.views.broken"
