from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms
from pillow_heif import register_heif_opener

from vasa_core.errors import BadPortrait
from vasa_core.pictures import BACKDROP, LONGEST_SIDE_PX, load_picture

ORIENTATION = 0x0112


@pytest.fixture
def saved(tmp_path):
    """Saves a Pillow image or an array under a name and returns the path."""

    def save(image, name="portrait.png", **options):
        image = image if isinstance(image, Image.Image) else Image.fromarray(image)
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save


def difference(one, other):
    return np.abs(one.astype(int) - other.astype(int))


def test_png_is_read_exactly(saved, picture):
    assert np.array_equal(load_picture(saved(picture)), picture)


@pytest.mark.parametrize(
    ("name", "options"), [("p.jpg", {"quality": 95}), ("p.webp", {"quality": 95}), ("p.bmp", {}), ("p.tif", {})]
)
def test_other_formats_show_the_same_picture(saved, picture, name, options):
    assert difference(load_picture(saved(picture, name, **options)), picture).mean() < 3


@pytest.mark.parametrize("name", ["p.heic", "p.avif"])
def test_heic_and_avif_show_the_same_picture(saved, picture, name):
    register_heif_opener()
    try:
        path = saved(picture, name, quality=95)
    except (OSError, KeyError, ValueError) as cannot:
        pytest.skip(f"this build of the codecs cannot write {name}: {cannot}")
    assert difference(load_picture(path), picture).mean() < 4


def test_the_name_does_not_matter(saved, picture):
    path = saved(picture, "p.png")
    assert np.array_equal(load_picture(path.rename(path.with_suffix(".jpg"))), picture)


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, lambda p: p),
        (2, lambda p: p[:, ::-1]),
        (3, lambda p: p[::-1, ::-1]),
        (4, lambda p: p[::-1]),
        (5, lambda p: p.swapaxes(0, 1)),
        (6, lambda p: np.rot90(p, 1)),  # turn it 90° clockwise to see it upright
        (7, lambda p: np.rot90(p.swapaxes(0, 1), 2)),
        (8, lambda p: np.rot90(p, -1)),
    ],
)
def test_every_exif_orientation_comes_out_upright(saved, picture, orientation, stored):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = saved(np.ascontiguousarray(stored(picture)), "p.png", exif=exif)
    assert np.array_equal(load_picture(path), picture)


def test_transparent_pixels_show_the_backdrop(saved, picture):
    alpha = np.full(picture.shape[:2], 255, np.uint8)
    alpha[:, :64] = 0
    loaded = load_picture(saved(np.dstack([picture, alpha])))
    assert np.array_equal(loaded[:, 64:], picture[:, 64:])
    assert (loaded[:, :64] == BACKDROP).all()


def test_a_transparent_palette_shows_the_backdrop(saved):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((0, 0), 1)
    loaded = load_picture(saved(image, transparency=0))
    assert tuple(loaded[0, 0]) == (0, 255, 0)
    assert tuple(loaded[4, 4]) == BACKDROP


def test_grey_is_the_same_in_all_channels(saved, picture):
    loaded = load_picture(saved(picture[..., 0]))
    assert np.array_equal(loaded, np.repeat(picture[..., :1], 3, axis=2))


def test_sixteen_bit_grey_keeps_its_brightness(saved, picture):
    loaded = load_picture(saved(Image.fromarray(picture[..., 0].astype(np.uint16) * 257)))
    assert np.array_equal(loaded[..., 1], picture[..., 0])


def test_float_grey_keeps_its_brightness(saved, picture):
    loaded = load_picture(saved(Image.fromarray(picture[..., 0].astype(np.float32) / 255), "p.tif"))
    assert np.array_equal(loaded[..., 1], picture[..., 0])


def test_black_and_white_is_black_and_white(saved):
    loaded = load_picture(saved(Image.fromarray(np.eye(8, dtype=bool))))
    assert set(np.unique(loaded)) == {0, 255}


def test_cmyk_shows_the_same_colours(saved, picture):
    assert (
        difference(load_picture(saved(Image.fromarray(picture).convert("CMYK"), "p.jpg", quality=95)), picture).mean()
        < 3
    )


def test_an_srgb_profile_changes_nothing(saved, picture):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert difference(load_picture(saved(picture, icc_profile=profile)), picture).max() <= 1


def test_a_broken_profile_is_ignored(saved, picture):
    assert np.array_equal(load_picture(saved(picture, icc_profile=b"not a profile")), picture)


@pytest.mark.parametrize("name", ["p.png", "p.jpg"])
def test_very_large_pictures_are_scaled_down(saved, picture, name):
    large = Image.fromarray(picture).resize((6000, 4500))
    loaded = load_picture(saved(large, name))
    assert loaded.shape == (LONGEST_SIDE_PX * 3 // 4, LONGEST_SIDE_PX, 3)
    small = np.asarray(Image.fromarray(loaded).resize((128, 96), Image.Resampling.BOX))
    assert difference(small, picture).mean() < 6


@pytest.mark.parametrize(("name", "kept"), [("p.jpg", 0.6), ("p.png", 0.6), ("p.webp", 0.6), ("p.png", 0.99)])
def test_a_truncated_file_is_refused(saved, name, kept):
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    path = saved(noise, name)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(BadPortrait, match="damaged or cut off"):
        load_picture(path)


def test_a_text_file_named_png_is_refused(tmp_path):
    path = tmp_path / "p.png"
    path.write_text("hello")
    with pytest.raises(BadPortrait, match="not a picture we can read"):
        load_picture(path)


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "p.png").touch()
    with pytest.raises(BadPortrait, match="not a picture"):
        load_picture(tmp_path / "p.png")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(BadPortrait, match="no file"):
        load_picture(tmp_path / "none.png")
    with pytest.raises(BadPortrait, match="is a folder"):
        load_picture(tmp_path)


def test_a_decompression_bomb_is_refused(tmp_path):
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    (tmp_path / "bomb.png").write_bytes(bomb.getvalue())
    with pytest.raises(BadPortrait, match="too large"):
        load_picture(tmp_path / "bomb.png")
