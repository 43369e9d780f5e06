"""What the shop knows: products, their labels and where those come from, corrections, the outbox, jobs, shoppers' photos."""

import uuid
from datetime import datetime, timedelta
from typing import ClassVar

from django.conf import settings
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.urls import reverse
from django.utils import timezone
from simple_history.models import HistoricalRecords

from attributes.labels import Box


class Source(models.TextChoices):
    """Who says a label. In the order in which they are believed."""

    MERCHANDISER = "merchandiser", "merchandiser"
    IMPORTED = "imported", "import"
    MODEL = "model", "model"


class ProductQuerySet(models.QuerySet["Product"]):
    """Reads."""

    def on_sale(self) -> "ProductQuerySet":
        """What shoppers may see."""
        return self.filter(published=True)

    def with_labels(self) -> "ProductQuerySet":
        """Fetch the labels along."""
        return self.prefetch_related("labels")

    def newest_by_category(self) -> dict[str, "Product"]:
        """One product on sale with a picture for each category that any source says."""
        shown = Label.objects.filter(group="category", product__published=True).exclude(product__tile="")
        newest = dict(shown.exclude(value="").values_list("value").annotate(models.Max("product_id")))
        products = self.in_bulk(list(newest.values()))
        return {category: products[key] for category, key in newest.items() if key in products}


class Product(models.Model):
    """Something the shop sells, with one photo and the region of it that shows the product."""

    sku = models.CharField(
        "SKU", max_length=80, unique=True,
        validators=[RegexValidator(r"^[\w.-]+\Z", "A SKU has letters, digits, dots, dashes and underscores.")],
        help_text="The shop's own number for the product.",
    )  # fmt: skip
    title = models.CharField(max_length=300)
    description = models.TextField(blank=True)
    price = models.DecimalField(
        max_digits=12, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    url = models.URLField("address", max_length=500, blank=True, help_text="Where it can be bought; may be empty.")
    photo = models.ImageField(upload_to="products/%Y/%m/", max_length=300)
    given_box = models.CharField(
        "region", max_length=80, blank=True,
        help_text="x0,y0,x1,y1 in pixels of the photo. Empty: the model looks for the garment.",
        validators=[RegexValidator(r"^\d+(\.\d+)?(,\d+(\.\d+)?){3}\Z", "A region is x0,y0,x1,y1 in pixels.")],
    )  # fmt: skip
    published = models.BooleanField(default=True, help_text="Whether shoppers can find it.")
    created = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    # What the models saw, kept so that a corrected label needs no second look at the photo.
    seen_box = models.CharField(max_length=80, blank=True, editable=False)
    seen_with = models.CharField(max_length=120, blank=True, editable=False)
    code = models.BinaryField(default=bytes, editable=False)
    colour = models.BinaryField(default=bytes, editable=False)
    tile = models.CharField(max_length=300, blank=True, editable=False)
    problem = models.CharField(max_length=300, blank=True, editable=False)

    history = HistoricalRecords(
        excluded_fields=["seen_box", "seen_with", "code", "colour", "tile", "problem", "created", "updated"]
    )
    objects = ProductQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-created", "sku"]

    def __str__(self) -> str:
        return f"{self.title} ({self.sku})"

    def get_absolute_url(self) -> str:
        """The product's page in the storefront."""
        return reverse("product", args=[self.sku])

    @property
    def region(self) -> Box | None:
        """The product's own region: given, else found; None is the whole photo."""
        text = self.given_box or self.seen_box
        return Box(*(float(c) for c in text.split(","))) if text else None


class Label(models.Model):
    """What one source says of a product in one group. An empty value says "none"."""

    product = models.ForeignKey(Product, models.CASCADE, related_name="labels")
    group = models.CharField(max_length=40)
    value = models.CharField(max_length=40, blank=True)
    source = models.CharField(max_length=12, choices=Source.choices)
    confidence = models.FloatField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["product", "group", "value", "source"], name="one_label_per_source")
        ]
        indexes: ClassVar = [models.Index(fields=["group", "source", "confidence"])]

    def __str__(self) -> str:
        return f"{self.group}={self.value or 'none'} ({self.source})"


class Disagreement(models.Model):
    """A value that a product's title says and its photo speaks against; what merchandisers should look at first."""

    product = models.ForeignKey(Product, models.CASCADE, related_name="disagreements")
    group = models.CharField(max_length=40)
    said = models.CharField("title says", max_length=40)
    shown = models.CharField("photo shows", max_length=40, blank=True)
    sure = models.FloatField(help_text="Probability that the photo does not show what the title says.")

    class Meta:
        ordering: ClassVar = ["-sure", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["product", "group", "said"], name="one_disagreement_per_value")
        ]

    def __str__(self) -> str:
        return f"{self.group}: the title says {self.said}, the photo shows {self.shown or 'something else'}"


class Correction(models.Model):
    """One change of a merchandiser's labels; `before` None: the merchandiser had said nothing of the group."""

    product = models.ForeignKey(Product, models.CASCADE, related_name="corrections")
    group = models.CharField(max_length=40)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    who = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="corrections")
    at = models.DateTimeField(auto_now_add=True)
    undone = models.BooleanField(default=False)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.product.sku}: {self.group}"


class OutboxEntry(models.Model):
    """A product that changed and must reach the index. Written in the change's own transaction, drained by the indexer."""

    sku = models.CharField(max_length=80)
    created = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["id"]
        verbose_name_plural = "outbox entries"

    def __str__(self) -> str:
        return self.sku


class Job(models.Model):
    """Long work, with its progress and how it ended."""

    class State(models.TextChoices):
        """How far it is."""

        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    kind = models.CharField(max_length=40)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    n_done = models.PositiveIntegerField("done", default=0)
    n_total = models.PositiveIntegerField("of", default=0)
    message = models.TextField(blank=True)
    started = models.DateTimeField(auto_now_add=True)
    updated = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind} {self.n_done}/{self.n_total}"


def _expiry() -> datetime:
    return timezone.now() + timedelta(seconds=settings.QUERY_KEPT_S)


class ShopperPhoto(models.Model):
    """A photo that a shopper searches by, kept (smaller) for paging and filtering, then deleted.

    width, height: of the photo as it was sent and turned; boxes are said in these pixels.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created = models.DateTimeField(auto_now_add=True)
    expires = models.DateTimeField(default=_expiry, db_index=True)
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()

    def __str__(self) -> str:
        return str(self.id)
