"""Random transforms of images and their masks: crops of one size, and named presets from torchvision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as transforms

Preset = Literal["none", "flips", "photo", "upright", "microscopy"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
_OF_A_CLASS = 1 / 3  # of the crops contain a pixel of a class that is drawn first, as in nnU-Net (Isensee et al. 2021)
_SCALES = {"photo": (0.75, 1.5), "upright": (0.8, 1.25), "microscopy": (0.8, 1.25)}
_TILT = 15  # degrees to either side, of images with an upper side


@dataclass(frozen=True)
class RandomTransform:
    """Transforms an image (C, H, W) in [0, 1] and its mask (H, W) alike, by draws from the global generator of torch.

    First a crop of ``height`` x ``width`` is taken, if they are not 0: a third of the crops contain a pixel of a class
    that is drawn from those in the mask, so that rare classes are seen. An image that is smaller is padded, with
    ``ignore_index`` in the mask. Then comes a preset:

    - ``flips``: horizontal and vertical flips;
    - ``photo``: horizontal flips, scales from 0.75 to 1.5, and changes of brightness, contrast, saturation and hue;
    - ``upright``: horizontal flips, rotations by up to 15 degrees, scales from 0.8 to 1.25, elastic deformation, and
      changes of brightness and contrast;
    - ``microscopy``: the same for images without an upper side: flips both ways, and rotations by any angle.

    Images that are neither gray nor RGB keep their colors.
    """

    preset: Preset
    height: int
    width: int
    ignore_index: int

    def __call__(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        low, high = _SCALES.get(self.preset, (1.0, 1.0))
        scale = float(torch.empty(()).uniform_(low, high)) if low < high else 1.0
        size = self.height or image.shape[-2], self.width or image.shape[-1]
        image, mask = self._cropped(image, mask, max(1, round(size[0] / scale)), max(1, round(size[1] / scale)))
        if image.shape[-2:] != size:
            image = transforms.resize(image, list(size), antialias=True).clamp(0, 1)
            nearest = transforms.InterpolationMode.NEAREST_EXACT
            mask = transforms.resize(mask.unsqueeze(0), list(size), nearest)[0]
        if self.preset == "none":
            return image, mask
        pair = tv_tensors.Image(image), tv_tensors.Mask(mask)
        changed, changed_mask = _preset(self.preset, len(image), self.ignore_index)(*pair)
        return changed.as_subclass(Tensor).clamp(0, 1), changed_mask.as_subclass(Tensor)

    def _cropped(self, image: Tensor, mask: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """A window of the image, which is padded where the image is smaller."""
        missing = max(0, height - image.shape[-2]), max(0, width - image.shape[-1])
        if any(missing):
            before = missing[1] // 2, missing[0] // 2
            sides = [before[0], missing[1] - before[0], before[1], missing[0] - before[1]]  # left, right, top, bottom
            image, mask = F.pad(image, sides), F.pad(mask, sides, value=self.ignore_index)
        top, left = self._corner(mask, height, width)
        window = slice(top, top + height), slice(left, left + width)
        return image[:, *window], mask[window]

    def _corner(self, mask: Tensor, height: int, width: int) -> tuple[int, int]:
        space = mask.shape[0] - height, mask.shape[1] - width
        center = self._pixel_of_a_class(mask) if any(space) and torch.rand(()) < _OF_A_CLASS else None
        return random_corner((height, width), space, center)

    def _pixel_of_a_class(self, mask: Tensor) -> tuple[int, int] | None:
        pixels = mask.flatten()
        counts = pixels.bincount(minlength=self.ignore_index + 1)  # faster than unique() for integers
        counts[self.ignore_index] = 0
        classes = counts.nonzero().flatten()
        if not len(classes):
            return None
        drawn = classes[torch.randint(len(classes), ())]
        places = (pixels == drawn).nonzero().flatten()
        return divmod(int(places[torch.randint(len(places), ())]), mask.shape[1])


def random_corner(
    size: tuple[int, int], space: tuple[int, int], pixel: tuple[int, int] | None = None
) -> tuple[int, int]:
    """The corner of a random window of ``size``, with ``space`` beside it; of one that contains the pixel, if any."""
    corner = []
    for axis, side in enumerate(size):
        first, last = 0, space[axis]
        if pixel is not None:
            first, last = max(0, pixel[axis] - side + 1), min(last, pixel[axis])
        corner.append(int(torch.randint(first, last + 1, ())))
    return corner[0], corner[1]


def _preset(name: Preset, channels: int, ignore_index: int) -> v2.Transform:
    color = v2.ColorJitter(0.3, 0.3, *((0.3, 0.05) if channels == 3 else ())) if channels in (1, 3) else v2.Identity()
    flips: list[v2.Transform] = [v2.RandomHorizontalFlip()]
    if name == "photo":
        return v2.Compose([*flips, color])
    if name != "upright":
        flips.append(v2.RandomVerticalFlip())
    if name == "flips":
        return v2.Compose(flips)
    fill = {tv_tensors.Image: 0.0, tv_tensors.Mask: ignore_index}
    angle, often = (_TILT, 0.3) if name == "upright" else (180, 0.5)
    turned = v2.RandomApply([v2.RandomRotation(angle, v2.InterpolationMode.BILINEAR, fill=fill)], p=often)
    return v2.Compose([*flips, turned, v2.RandomApply([v2.ElasticTransform(30.0, 5.0, fill=fill)], p=0.2), color])
