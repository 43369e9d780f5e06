"""Addresses of the storefront."""

from django.urls import path, re_path

from webapp.storefront import views

urlpatterns = [
    path("", views.home, name="home"),
    path("look/", views.upload, name="upload"),
    path("look/<uuid:photo_id>/", views.look, name="look"),
    path("look/<uuid:photo_id>/photo.jpg", views.shopper_photo, name="shopper-photo"),
    path("examples/<slug:name>.jpg", views.example, name="example"),
    path("browse/", views.browse, name="browse"),
    re_path(r"^products/(?P<sku>[\w.-]+)/$", views.product, name="product"),
    re_path(r"^products/(?P<sku>[\w.-]+)/similar/$", views.similar, name="similar"),
    re_path(r"^media/(?P<name>(?:products|tiles)/[\w./-]+)$", views.media, name="media"),
]
