"""Portrait pictures from files, as upright sRGB pixels, whatever the camera or the painter's program wrote.

JPEG, PNG, WebP, HEIC, AVIF, TIFF, BMP and the first frame of a GIF; recognised by content, never by the file's name.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from vasa_core.errors import BadPortrait

LONGEST_SIDE_PX = 2048
"""Larger pictures are scaled down to this: a face in them still covers the 512 pixels of the crop."""

LARGEST_PICTURE_PX = 250_000_000
"""Beyond any camera; a small file that claims more is made to exhaust memory."""

BACKDROP = (205, 205, 208)
"""What shows through transparent pixels: a soft neutral studio grey."""

FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "BMP", "GIF")


def load_picture(path: Path | str) -> UInt8[np.ndarray, "height width 3"]:
    """The picture in a file: upright as its EXIF says, in sRGB, over a neutral backdrop, long side at most 2048 px."""
    path = Path(path)
    register_heif_opener()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's notes about odd metadata; what matters is refused by name below
        return np.array(_scaled_down(_flattened(_in_srgb(_decoded(path)))))


def _decoded(path: Path) -> Image.Image:
    try:
        with Image.open(path, formats=FORMATS) as picture:
            if picture.width * picture.height > LARGEST_PICTURE_PX:
                raise Image.DecompressionBombError
            picture.draft(None, (LONGEST_SIDE_PX, LONGEST_SIDE_PX))  # a large JPEG decodes at 1/2, 1/4 or 1/8
            return ImageOps.exif_transpose(picture)
    except FileNotFoundError:
        raise BadPortrait(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise BadPortrait(f"{path} is a folder; give the path of one picture.") from None
    except PermissionError:
        raise BadPortrait(f"{path} cannot be read: ask for permission to read it.") from None
    except UnidentifiedImageError:
        raise BadPortrait(f"{path} is not a picture we can read; use JPEG, PNG, WebP or HEIC.") from None
    except Image.DecompressionBombError:
        raise BadPortrait(f"{path} is too large to open; scale it down to {LONGEST_SIDE_PX} pixels.") from None
    except (OSError, SyntaxError, ValueError, EOFError, RuntimeError):  # what Pillow's decoders raise on broken files
        raise BadPortrait(f"{path} is damaged or cut off; copy or download it again.") from None


def _in_srgb(picture: Image.Image) -> Image.Image:
    """Phones write Display P3 and printers CMYK: the same colours in sRGB, where the file says what it is in."""
    profile = picture.info.get("icc_profile")
    if not profile or picture.mode not in ("RGB", "RGBA", "CMYK", "L"):
        return picture
    target = "RGBA" if picture.mode == "RGBA" else "RGB"
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode=target) or picture
    except (ImageCms.PyCMSError, OSError, ValueError):  # a broken or mismatched profile: take the values as they are
        return picture


def _flattened(picture: Image.Image) -> Image.Image:
    if picture.mode in ("I", "I;16", "I;16B", "I;16L", "F"):
        return _from_deep_grey(picture)
    if "A" in picture.getbands() or "a" in picture.getbands() or "transparency" in picture.info:
        see_through = picture.convert("RGBA")
        backdrop = Image.new("RGBA", see_through.size, (*BACKDROP, 255))
        return Image.alpha_composite(backdrop, see_through).convert("RGB")
    return picture.convert("RGB")


def _from_deep_grey(picture: Image.Image) -> Image.Image:
    """Pillow keeps 16-bit and float greys as numbers; their white is 65535, or 1 for floats in [0, 1]."""
    values = np.nan_to_num(np.asarray(picture, dtype=np.float64))
    white = 1.0 if picture.mode == "F" and values.max() <= 1.0 else 255.0 if values.max() <= 255.0 else 65535.0
    eight_bit = (values.clip(0, white) * (255.0 / white)).round().astype(np.uint8)
    return Image.fromarray(eight_bit).convert("RGB")


def _scaled_down(picture: Image.Image) -> Image.Image:
    excess = max(picture.size) / LONGEST_SIDE_PX
    if excess <= 1:
        return picture
    size = (max(1, round(picture.width / excess)), max(1, round(picture.height / excess)))
    return picture.resize(size, Image.Resampling.LANCZOS)
