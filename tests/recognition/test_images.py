"""Files become pixels, or a clear refusal."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attributes.labels import Box
from recognition.images import GREY, BadImage, Limits, crop, normalize, open_photo, square
from tests.recognition.photos import as_bytes, picture, turned_by_exif


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIF", "BMP", "TIFF", "GIF"])
def test_every_format_is_read(kind: str) -> None:
    pixels = open_photo(as_bytes(picture(), kind))
    assert pixels.shape == (40, 60, 3)
    assert pixels[20, 5, 0] > 180
    assert pixels[20, 55, 2] > 180


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "LA", "1"])
def test_every_colour_mode_becomes_rgb(mode: str) -> None:
    kind = "JPEG" if mode == "CMYK" else "PNG"
    assert open_photo(as_bytes(picture().convert(mode), kind)).shape == (40, 60, 3)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    deep = Image.fromarray(np.linspace(0, 65535, 40 * 60).reshape(40, 60).astype(np.uint16))
    pixels = open_photo(as_bytes(deep, "PNG"))
    assert 100 < pixels.mean() < 155


def test_transparency_is_laid_on_white() -> None:
    assert (open_photo(as_bytes(Image.new("RGBA", (20, 20), (255, 0, 0, 0)), "PNG")) == 255).all()


def test_a_photo_is_turned_as_its_exif_says() -> None:
    pixels = open_photo(turned_by_exif(picture(), 6))  # shot upright: the left side is up
    assert pixels.shape == (60, 40, 3)
    assert pixels[5, 20, 0] > 180


def test_the_first_frame_of_an_animation_is_taken() -> None:
    moving = as_bytes(picture(), "GIF", save_all=True, append_images=[Image.new("RGB", (60, 40), "green")])
    assert open_photo(moving)[20, 5, 0] > 180


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (b"", "empty"),
        (b"hello, I am no photo", "not a photo"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a photo"),
        (as_bytes(picture(600, 400), "JPEG")[:2000], "damaged"),
        (as_bytes(picture(600, 400), "PNG")[:300], "damaged"),
        (as_bytes(Image.new("RGB", (4, 4)), "PNG"), "smallest side"),
    ],
)
def test_what_is_no_whole_photo_is_refused(file: bytes, said: str) -> None:
    with pytest.raises(BadImage, match=said):
        open_photo(file)


def test_a_photo_of_20000_by_20000_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(BadImage, match="megapixels"):
        open_photo(as_bytes(Image.new("1", (20000, 20000)), "PNG"))


def test_limits_are_kept() -> None:
    with pytest.raises(BadImage, match="MB"):
        open_photo(as_bytes(picture(), "BMP"), Limits(max_bytes=1000))
    with pytest.raises(BadImage, match="megapixels"):
        open_photo(as_bytes(picture(), "PNG"), Limits(max_pixels=1000))


@given(st.binary(max_size=300), st.integers(0, 400))
def test_damage_is_refused_or_read_but_never_a_crash(noise: bytes, at: int) -> None:
    file = bytearray(as_bytes(picture(), "JPEG"))
    file[at : at + len(noise)] = noise
    try:
        assert open_photo(bytes(file)).ndim == 3
    except BadImage:
        pass


def test_a_crop_is_widened_and_clipped_to_the_photo() -> None:
    photo = np.zeros((100, 200, 3), np.uint8)
    assert crop(photo, Box(0, 0, 100, 50)).shape == (55, 105, 3)
    assert crop(photo, Box(50, 20, 150, 80), context=0).shape == (60, 100, 3)
    assert crop(photo, None) is photo
    assert crop(photo, Box(199.5, 99.5, 200, 100)).size > 0


@given(st.integers(1, 90), st.integers(1, 90))
def test_the_whole_crop_fits_into_its_square(width: int, height: int) -> None:
    squared = square(np.full((height, width, 3), 255, np.uint8), 32)
    assert squared.shape == (32, 32, 3)
    longer = squared.max(2).max(1) if height >= width else squared.max(2).max(0)
    assert (longer == 255).all()
    if height != width and min(width, height) * 2 < max(width, height):
        assert (squared == GREY).any()


def test_pixels_are_normalized_to_one_around_zero() -> None:
    values = normalize(np.array([[[[0, 127, 255]]]], np.uint8))
    assert values.shape == (1, 3, 1, 1)
    np.testing.assert_allclose(values.ravel(), [-1, -0.0039, 1], atol=1e-3)
