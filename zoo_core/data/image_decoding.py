"""Decode image files: which formats are read, and what is refused because it would lose values."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo_core.data.image_formats import is_complete_gif, what_it_is
from zoo_core.data.image_limit import MAX_PIXELS, max_pixels, refuse_too_large
from zoo_core.data.tiff import is_tiff, page_of, refuse_big_endian, tiff_pages
from zoo_core.errors import BadFile
from zoo_core.files import file_of, split_page, stat_regular

HINT = "Give a PNG, JPEG, TIFF, WebP, BMP, GIF, PPM or .npy file."
SINGLE_HINT = "Give one of its frames, or give the file itself where a clip is expected."
_PAGE_HINT = "Name one of its pages, numbered from 0, such as {name}#page=0, or save each in a file of its own."
MAX_16_BIT = 65535
# Pillow tries no other format, some of which run other programs.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
BINARY = 0.01  # of the pixels; fewer may be the noise of a dark image
_NOT_ENOUGH_BITS = 2**14  # values below are those of a camera with 14 bits or less, or of a very dark image


@contextmanager
def open_image(path: Path, decode: bool = True, hint: str = HINT, formats: tuple[str, ...] = _FORMATS) -> Iterator[Any]:
    """Open a file with Pillow; reading errors raised in the body become BadFile, too, with the ``hint``."""
    from PIL import Image, UnidentifiedImageError

    path, page = split_page(path)
    if not stat_regular(path).st_size:
        raise BadFile(f"{path} is empty.", hint)
    max_pixels()  # Pillow has a limit, too
    try:
        refuse_big_endian(path)
        with Image.open(path, formats=formats) as image:
            refuse_too_large(path, image.height, image.width)
            if image.format == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info:
                raise BadFile(
                    f"{path} is a CMYK image that does not say whether its values are inverted.", "Convert it to RGB."
                )
            if image.format == "GIF" and not is_complete_gif(path):  # Pillow reads the frames that are there
                raise BadFile(f"{path} can't be read: image file is truncated.", hint)
            if image.format == "PPM":
                image.info["maximum"] = _stated_maximum(image)
            if page is not None:
                image.seek(_chosen(frame_range(image), page, path))
                refuse_too_large(path, image.height, image.width)
            if decode:
                image.load()
            yield image
    except BadFile:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        more = f"Divide it into tiles, or allow it: set {MAX_PIXELS} to its number of pixels."
        raise BadFile(f"{path} can't be read: {reason(error)}.", more) from error
    except UnidentifiedImageError:
        raise BadFile(f"{path} {what_it_is(path, formats)}.", hint) from None
    except (
        OSError,
        EOFError,
        SyntaxError,
        ValueError,
        IndexError,
        TypeError,
        struct.error,
    ) as error:  # for cut-off files
        raise BadFile(f"{path} can't be read: {reason(error)}.", hint) from error


def frame_range(image: Any) -> Sequence[int]:
    """The frames of an image: those of an animation, the pages of a TIFF, and 0 of anything else.

    A photo may contain further images, such as a thumbnail, and an animated PNG one for programs that can't play it.
    """
    if image.format == "TIFF":
        return [page.index for page in tiff_pages(Path(image.filename))]
    if image.format not in ("GIF", "PNG", "WEBP"):
        return range(1)
    return range(int(getattr(image, "default_image", False)), getattr(image, "n_frames", 1))


def frames_of(image: Any, path: Path) -> Sequence[int]:
    """The frames of an image, or the one that the path names."""
    page = split_page(path)[1]
    frames = frame_range(image)
    return frames if page is None else [_chosen(frames, page, path)]


def _chosen(frames: Sequence[int], page: int, path: Path) -> int:
    if page >= len(frames):
        raise BadFile(f"{path} has {len(frames)} pages, numbered from 0, but no page {page}.", "Give one of them.")
    return frames[page]


def refuse_animation(image: Any, path: Path) -> None:
    """Raise BadFile for an image with several frames."""
    if image.format == "TIFF":
        refuse_pages(path)
    elif (frames := len(frames_of(image, path))) > 1:
        raise BadFile(f"{path} holds {frames} frames, but should be one image.", SINGLE_HINT)


def pages(path: Path) -> list[Path]:
    """The paths of all pages of a TIFF."""
    return [path.with_name(f"{path.name}#page={number}") for number in range(len(tiff_pages(path)))]


def number_of_pages(path: Path) -> int:
    """How many pages a TIFF has; 1 if the path names one."""
    return len(tiff_pages(path)) if split_page(path)[1] is None else 1


def refuse_pages(path: Path) -> None:
    """Raise BadFile for a TIFF of several pages, unless the path names one of them."""
    if (count := number_of_pages(path)) > 1:
        raise BadFile(f"{path} holds {count} pages, but should be one image.", _PAGE_HINT.format(name=path.name))


def refuse_turned_tiff(path: Path) -> None:
    """Raise BadFile for a TIFF with an orientation: Pillow rotates it once or twice, depending on its compression."""
    if is_tiff(file_of(path)) and (turned := page_of(path).orientation) not in (0, 1):
        raise BadFile(f"{path} is a TIFF with the orientation {turned}.", "Save it upright, without an orientation.")


def stored_shape(path: Path) -> tuple[int, int, int]:
    """Number of frames, height and width as the header of an image states them, before any pixel is decoded."""
    if is_tiff(file_of(path)):
        page = page_of(path)
        return number_of_pages(path), page.height, page.width
    with open_image(path, decode=False) as image:
        return len(frames_of(image, path)), image.height, image.width


def upright_size(image: Any) -> tuple[int, int]:
    """Height and width after rotation by the EXIF orientation."""
    transposed = orientation(image) in (5, 6, 7, 8)
    return (image.width, image.height) if transposed else (image.height, image.width)


def orientation(image: Any) -> int:
    """The EXIF orientation, 1 to 8; 1 if it is stored upright."""
    from PIL import ExifTags

    found = image.getexif().get(ExifTags.Base.Orientation, 1)
    return found if found in range(1, 9) else 1


def is_16_bit(image: Any, path: Path) -> bool:
    """Whether a PNG has 16 bits per channel; Pillow's mode says so only of gray images."""
    if image.format != "PNG":
        return False
    with file_of(path).open("rb") as file:
        return file.read(25)[24:] == b"\x10"


def has_transparency(image: Any) -> bool:
    """Whether an image has an alpha channel, or a transparent color."""
    return "A" in image.mode or "transparency" in image.info


def channels_of(image: Any) -> int:
    """1 for an image in gray, 3 with colors, 4 for CMYK; without transparency."""
    if image.mode in ("1", "L", "LA", "F") or image.mode.startswith("I"):
        return 1
    if image.mode in ("P", "PA"):
        palette = np.array(image.getpalette("RGB") or [], dtype=np.uint8).reshape(-1, 3)
        return 1 if (palette == palette[:, :1]).all() else 3
    return 4 if image.mode == "CMYK" else 3


def is_transparent(image: Any) -> bool:
    """Whether some pixels are transparent."""
    if not has_transparency(image):
        return False
    return bool(image.convert("RGBA").getchannel("A").getextrema()[0] < 255)


def extent_of_bytes(image: Any) -> tuple[int, int]:
    """The smallest and the largest value of a color of an image of 8 bits; those of a palette are its colors."""
    if image.mode in ("P", "PA", "CMYK", "YCbCr", "LAB"):
        image = image.convert("RGB")
    extrema = image.getextrema()
    bands = extrema if isinstance(extrema[0], tuple) else (extrema,)
    colors = bands[:-1] if "A" in image.mode or "a" in image.mode else bands
    return min(int(low) for low, _ in colors), max(int(high) for _, high in colors)


def is_binary(image: Any) -> bool:
    """Whether more than one pixel of 100 is not black."""
    return float((np.asarray(image.convert("L")) > 0).mean()) > BINARY


def refuse_late_transparency(image: Any, path: Path, number: int, cleared: bool) -> None:
    """Raise BadFile for a frame of a GIF with transparent pixels on a cleared canvas, if the first frame had none.

    Pillow then gives these pixels an arbitrary color. Where the frame before is not ``cleared``, they are those of that
    frame.
    """
    if cleared and image.mode == "RGB" and getattr(image, "_frame_transparency", None) is not None:
        raise BadFile(
            f"{path} has transparent pixels in frame {number}, but none in the first, so that they can't be read.",
            "Save its frames as PNG images in a sub-folder.",
        )


def to_tensor(image: Any, channels: int) -> Tensor:
    """A Pillow image of 8 bits as (channels, H, W) in [0, 1]: rotated by its EXIF orientation, on black."""
    from PIL import Image, ImageOps
    from torchvision.transforms.v2.functional import pil_to_tensor, to_dtype

    image = ImageOps.exif_transpose(image)
    if has_transparency(image):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    converted = image.convert("L" if channels == 1 else "RGB")
    return to_dtype(pil_to_tensor(converted), torch.float32, scale=True)  # type: ignore[no-any-return]


def all_channels(image: Any) -> Tensor:
    """All channels of a Pillow image of 8 bits, with transparency, as (C, H, W) in [0, 1]."""
    from PIL import ImageOps

    pixels = np.array(ImageOps.exif_transpose(image)).astype(np.float32)
    return torch.from_numpy(pixels if pixels.ndim == 3 else pixels[..., None]).permute(2, 0, 1) / 255


def values_of_16_bit(image: Any) -> NDArray[np.int32]:
    """The values (H, W) in 0..65535 of a gray image of 16 bits, rotated by its EXIF orientation."""
    from PIL import ImageOps

    return np.asarray(ImageOps.exif_transpose(image)).astype(np.int32)


def refuse_few_bits(largest: int, path: Path) -> None:
    """Raise BadFile if the largest value of 16-bit data suggests that it has fewer bits."""
    if 0 < largest < _NOT_ENOUGH_BITS:
        white = max(255, 2 ** largest.bit_length() - 1)
        raise BadFile(
            f"{path} is a 16-bit image whose values end at {largest}: with {MAX_16_BIT} as white it would be nearly "
            "black.",
            f"Scale its values to 0..{MAX_16_BIT} and save it again, or set max_value, for example max_value={white}.",
        )


def with_channels(image: Tensor, channels: int) -> Tensor:
    """An image (C, H, W) converted to gray (1, H, W) or RGB (3, H, W)."""
    if image.shape[0] == channels:
        return image
    if channels == 1:
        from torchvision.transforms.v2.functional import rgb_to_grayscale

        return rgb_to_grayscale(image)  # type: ignore[no-any-return]
    return image.expand(channels, -1, -1).clone()


def reason(error: Exception) -> str:
    """The message of an error without its final period; for an OSError, without its number."""
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")


def _stated_maximum(image: Any) -> int:
    """The value of white that a PGM or PPM file states; Pillow scales the others to 255 or 65535."""
    arguments = image.tile[0].args
    if isinstance(arguments, tuple) and isinstance(arguments[-1], int) and image.mode != "F":
        return int(arguments[-1]) or 255
    return MAX_16_BIT if str(arguments).startswith("I;16") else 255
