"""The pages that shoppers see. Each parses, asks the catalogue, and shows."""

from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.http import require_GET, require_http_methods

from attributes.vocabulary import UnknownAttribute
from recognition.images import BadImage
from search.engine import BadBox, Page
from search.index import UnknownProduct
from search.where import BadFilter, parse_where
from webapp.catalog import photos, shopping
from webapp.catalog.admission import Busy
from webapp.catalog.engine import vocabulary
from webapp.catalog.indexing import pending
from webapp.catalog.labels import effective
from webapp.catalog.models import Product, ShopperPhoto
from webapp.catalog.photos import PhotoExpired
from webapp.catalog.shopping import SORTS, Wish
from webapp.storefront.address import Address
from webapp.storefront.presenting import Link, ResultsPage, heading, present, said, similar_to

N_ARRIVALS = 12
N_ALIKE = 12


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """The start: one large place for a photo, beside it words, below it the shop."""
    arrivals = Product.objects.on_sale().exclude(tile="")[:N_ARRIVALS]
    return render(
        request, "storefront/home.html",
        {"arrivals": arrivals, "shelves": _shelves(), "examples": _examples(), "waiting": pending()},
    )  # fmt: skip


@require_http_methods(["POST"])
def upload(request: HttpRequest) -> HttpResponse:
    """Take a photo, or an example, and lead to what was seen in it."""
    example_name = request.POST.get("example", "")
    file = request.FILES.get("photo")
    try:
        if example_name:
            source = _example_file(example_name).read_bytes()
        elif file is None:
            raise BadImage("choose a photo first")
        elif file.size and file.size > settings.PHOTO_MAX_BYTES:
            raise BadImage(f"the photo has {file.size / 2**20:.0f} MB; {settings.PHOTO_MAX_BYTES // 2**20} are taken")
        else:
            source = file.read()
        photo = photos.keep(source)
    except BadImage as wrong:
        return problem(request, f"That did not work: {wrong}.", 400)
    return redirect("look", photo_id=photo.id)


@require_GET
@never_cache
def look(request: HttpRequest, photo_id: UUID) -> HttpResponse:
    """What a photo shows, and the products that look like it."""
    try:
        photo = photos.find(photo_id)
    except PhotoExpired:
        return problem(
            request, "This photo is no longer kept. Photos are deleted after an hour; please choose it again.", 404
        )
    return _results(request, photo=photo)


@require_GET
@never_cache
def browse(request: HttpRequest) -> HttpResponse:
    """The shop by words and filters; typed words that are labels become filters."""
    if typed := request.GET.get("q", "").strip():
        expressions, words = shopping.read_words(typed[:200], vocabulary())
        address = Address(reverse("browse"), where=tuple(expressions), words=words)
        return redirect(str(address))
    return _results(request)


@require_GET
@never_cache
def similar(request: HttpRequest, sku: str) -> HttpResponse:
    """More like a product."""
    return _results(request, like=get_object_or_404(Product.objects.on_sale(), sku=sku))


def _results(request: HttpRequest, photo: ShopperPhoto | None = None, like: Product | None = None) -> HttpResponse:
    address = Address.read(request.path, request.GET)
    try:
        page = _ask(address, photo, like)
    except (BadFilter, UnknownAttribute, BadBox, BadImage) as wrong:
        return problem(request, f"We do not understand this address: {wrong}.", 400)
    except UnknownProduct:
        return problem(request, "This product is not in search yet; try again in a moment.", 404)
    except Busy as wrong:
        answer = problem(request, f"{str(wrong).capitalize()}.", 503)
        answer["Retry-After"] = str(wrong.wait)
        return answer
    context = {"page": page, "photo": photo, "like": like}
    return render(request, "storefront/results.html", context)


def _ask(address: Address, photo: ShopperPhoto | None, like: Product | None) -> ResultsPage:
    words = vocabulary()
    if address.category:
        words.check_category(address.category)
    wish = Wish(
        photo=photo,
        sku=like.sku if like else None,
        words=address.words,
        category=address.category or None,
        box=shopping.parse_box(address.box),
        where=parse_where(address.where, words),
        sort=address.sort if address.sort in SORTS else "",
        page=Page(limit=address.n),
    )
    return present(shopping.find(wish), address, words, photo, f" like “{like.title}”" if like else "")


@require_GET
def product(request: HttpRequest, sku: str) -> HttpResponse:
    """One product: its photo, its labels as links, more like it."""
    shown = get_object_or_404(Product.objects.on_sale().with_labels(), sku=sku)
    held = effective(shown.labels.all(), vocabulary())
    category = next((s.value for s in held if s.group == "category"), "")
    links = []
    for label in held:
        filters = [f"{label.group}={label.value}"]
        if label.group != "category" and category:
            filters.insert(0, f"category={category}")
        href = str(Address(reverse("browse"), where=tuple(filters)))
        links.append(Link(said(label.value), href, note=heading(label.group)))
    try:
        where = (f"category={category}",) if category else ()
        alike = _ask(Address(reverse("similar", args=[sku]), where=where), None, shown).tiles[:N_ALIKE]
    except UnknownProduct:
        alike = []
    context = {"product": shown, "labels": links, "alike": alike, "similar": similar_to(shown, held)}
    return render(request, "storefront/product.html", context)


@require_GET
@cache_control(private=True, max_age=3600)
def shopper_photo(request: HttpRequest, photo_id: UUID) -> FileResponse:
    """A shopper's own photo, shown back."""
    try:
        file = photos.file_of(photos.find(photo_id))
    except PhotoExpired as wrong:
        raise Http404 from wrong
    return FileResponse(file.open("rb"), content_type="image/jpeg")


@require_GET
@cache_control(public=True, max_age=86400)
def example(request: HttpRequest, name: str) -> FileResponse:
    """An example photo."""
    try:
        return FileResponse(_example_file(name).open("rb"), content_type="image/jpeg")
    except BadImage as wrong:
        raise Http404 from wrong


@require_GET
@cache_control(public=True, max_age=31536000, immutable=True)
def media(request: HttpRequest, name: str) -> FileResponse:
    """A product's photo or tile; file names never come back with other content."""
    root = Path(settings.MEDIA_ROOT).resolve()
    file = (root / name).resolve()
    if not file.is_relative_to(root) or not file.is_file():
        raise Http404
    return FileResponse(file.open("rb"))


def problem(request: HttpRequest, message: str, status: int) -> HttpResponse:
    """A page that says what went wrong and what to do next."""
    return render(request, "storefront/problem.html", {"message": message, "examples": _examples()}, status=status)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """An address that leads nowhere."""
    return problem(request, "There is nothing at this address.", 404)


def broken(request: HttpRequest) -> HttpResponse:
    """What nobody foresaw."""
    return problem(request, "Something broke on our side. Please try again.", 500)


def _shelves() -> list[tuple[Link, Product]]:
    """The categories that have products, each with one to show."""
    newest = Product.objects.newest_by_category()
    return [
        (Link(category.plural, str(Address(reverse("browse"), where=(f"category={name}",)))), newest[name])
        for name, category in vocabulary().categories.items()
        if name in newest
    ]


def _examples() -> list[str]:
    return sorted(f.stem for f in (settings.VAR / "examples").glob("*.jpg"))[:6]


def _example_file(name: str) -> Path:
    if name not in _examples():
        raise BadImage("there is no such example")
    return Path(settings.VAR) / "examples" / f"{name}.jpg"
