"""Import in the admin: a CSV and a ZIP of photos, a preview of what would become of every row, then the import."""

import shutil
import zipfile
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from attributes.labels import Box
from recognition.images import BadImage, open_photo
from webapp.catalog import importing
from webapp.catalog.engine import limits
from webapp.catalog.importing import BadCatalogue, ReadPhoto, RowReport
from webapp.catalog.models import Job

MOST_UNPACKED = 2 * 2**30  # bytes of all photos in a ZIP together
N_SHOWN = 200  # rows of the preview


class ImportForm(forms.Form):
    """What an import needs."""

    catalogue = forms.FileField(help_text="CSV in UTF-8 with the columns sku, title, photo; see the template.")
    photos = forms.FileField(help_text="ZIP with the photos that the column names.")


@require_http_methods(["GET", "POST"])
def start(request: HttpRequest) -> HttpResponse:
    """Take the two files."""
    _may(request)
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        upload = uuid4()
        folder = _folder(upload)
        folder.mkdir(parents=True)
        for name in ("catalogue", "photos"):
            with (folder / name).open("wb") as opened:
                for chunk in form.cleaned_data[name].chunks():
                    opened.write(chunk)
        try:
            importing.read_rows((folder / "catalogue").read_bytes())
            _open_zip(folder).close()
            return redirect("admin:import-preview", upload)
        except (BadCatalogue, BadImage) as wrong:
            shutil.rmtree(folder)
            form.add_error(None, f"Nothing was imported: {wrong}.")
    context = {**admin.site.each_context(request), "title": "Import", "form": form}
    return render(request, "merchandising/import.html", context, status=400 if form.errors else 200)


@require_http_methods(["GET", "POST"])
def preview(request: HttpRequest, upload: UUID) -> HttpResponse:
    """Show what would become of the rows, and import them when that is confirmed."""
    _may(request)
    folder = _folder(upload)
    if not folder.is_dir():
        raise Http404
    text = (folder / "catalogue").read_bytes()
    with _open_zip(folder) as photos:
        if request.method == "POST":
            reports = _import(text, _photos_of(photos)) if "confirm" in request.POST else []
            shutil.rmtree(folder)
            counts = _counts(reports)
            messages.success(request, ", ".join(f"{n} {outcome}" for outcome, n in counts.items()) or "Import dropped.")
            return redirect("admin:catalog_product_changelist")
        reports = list(importing.import_rows(text, _photos_of(photos), dry_run=True))
    context = {
        **admin.site.each_context(request), "title": "Import: what would happen",
        "counts": _counts(reports), "refused": [r for r in reports if r.outcome == "refused"][:N_SHOWN],
        "reports": reports[:N_SHOWN], "n_rows": len(reports),
    }  # fmt: skip
    return render(request, "merchandising/import_preview.html", context)


@require_GET
def template(request: HttpRequest) -> HttpResponse:
    """An example CSV."""
    _may(request)
    return HttpResponse(
        importing.template(), content_type="text/csv",
        headers={"Content-Disposition": 'attachment; filename="haberdash-template.csv"'},
    )  # fmt: skip


def with_photo_check(form: type[Any]) -> type[Any]:
    """The product form with checks of photo and region, so that mistakes are said beside the field."""

    class Checked(form):  # type: ignore[misc]
        def clean_photo(self) -> Any:
            photo = self.cleaned_data["photo"]
            if "photo" in self.changed_data:
                try:
                    self.pixels = open_photo(photo.read(), limits())
                except BadImage as wrong:
                    raise ValidationError(str(wrong)) from wrong
                photo.seek(0)
            return photo

        def clean(self) -> Any:
            cleaned = super().clean()
            text, photo = cleaned.get("given_box"), cleaned.get("photo")
            if text and photo:
                box = Box(*(float(c) for c in text.split(",")))
                size = self.pixels.shape[1::-1] if hasattr(self, "pixels") else (photo.width, photo.height)
                if None not in size and not (box.x0 < box.x1 <= size[0] and box.y0 < box.y1 <= size[1]):
                    self.add_error("given_box", f"The region does not lie in the photo ({size[0]} x {size[1]}).")
            return cleaned

    return Checked


def _import(text: bytes, read_photo: ReadPhoto) -> list[RowReport]:
    n_rows = len(importing.read_rows(text))
    job = Job.objects.create(kind="import", n_total=n_rows)
    reports = []
    for report in importing.import_rows(text, read_photo):
        reports.append(report)
        if len(reports) % 20 == 0:
            Job.objects.filter(pk=job.pk).update(n_done=len(reports))
    refused = [f"line {r.line} ({r.sku}): {r.reason}" for r in reports if r.outcome == "refused"]
    Job.objects.filter(pk=job.pk).update(
        n_done=len(reports), state=Job.State.DONE, message="\n".join(refused[:N_SHOWN])
    )
    return reports


def _counts(reports: list[RowReport]) -> dict[str, int]:
    outcomes = [r.outcome for r in reports]
    return {o: outcomes.count(o) for o in ("taken", "updated", "refused") if o in outcomes}


def _folder(upload: UUID) -> Path:
    return Path(settings.VAR) / "imports" / str(upload)


def _open_zip(folder: Path) -> zipfile.ZipFile:
    """Raises BadImage when the file is no ZIP or would unpack to too much."""
    try:
        opened = zipfile.ZipFile(folder / "photos")
    except (zipfile.BadZipFile, OSError) as wrong:
        raise BadImage("the photos are not a ZIP file") from wrong
    if sum(i.file_size for i in opened.infolist()) > MOST_UNPACKED:
        opened.close()
        raise BadImage(f"the photos together have more than {MOST_UNPACKED // 2**30} GB")
    return opened


def _photos_of(opened: zipfile.ZipFile) -> ReadPhoto:
    """Read photos out of the ZIP by their name, with or without the folder they lie in."""
    by_name = {n.rpartition("/")[2]: n for n in opened.namelist() if not n.endswith("/")}

    def read(name: str) -> bytes:
        inside = name if name in opened.NameToInfo else by_name.get(name.rpartition("/")[2], "")
        if not inside:
            raise BadImage(f"the photo {name} is missing from the ZIP")
        if opened.NameToInfo[inside].file_size > limits().max_bytes:
            raise BadImage(f"the photo {name} is larger than {limits().max_bytes // 2**20} MB")
        try:
            return opened.read(inside)
        except (zipfile.BadZipFile, RuntimeError, OSError) as wrong:
            raise BadImage(f"the photo {name} cannot be unpacked: {wrong}") from wrong

    return read


def _may(request: HttpRequest) -> None:
    if not request.user.has_perm("catalog.add_product"):
        raise PermissionDenied
