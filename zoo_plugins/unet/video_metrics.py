"""Metrics of predicted frames, as in OpenSTL's Moving MNIST benchmark (Tan et al. 2023).

- ``mse``, ``mae``: summed over the pixels of a frame and averaged over clips and frames, before predictions are clipped
  to [0, 1].
- ``ssim``: Wang et al. 2004, eq. 13, after clipping, with a uniform 7 x 7 window and a data range of 1, averaged over
  the positions where the window is inside the frame. ``ssim_range_2``: with a data range of 2, which OpenSTL's library
  assumes for floating-point images. That library also divides covariances by 48 for 49 pixels, which is not done here:
  on 20 clips it changed the mean from 0.7651 to 0.7648.
- ``psnr``: in dB, after clipping, averaged over the frames.
- ``last_frame_mse``, ``last_frame_ssim``: of the persistence baseline, which repeats the last given frame.

``NAME/k`` is the metric of the k-th predicted frame.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WINDOW_SIZE = 7
_AT_ONCE = 2**21  # pixels whose SSIM is computed at once: it needs some 80 bytes for each


class VideoMetrics:
    """Accumulates the metrics over batches."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}  # each (T',)
        self._count = 0  # clips

    def update(self, past: Tensor, predicted: Tensor, future: Tensor) -> None:
        """``past`` (N, T, C, H, W); ``predicted`` and ``future`` (N, T', C, H, W)."""
        error = predicted - future
        last_frame = past[:, -1:].expand_as(future)  # (N, 1, C, H, W) to (N, T', C, H, W)
        clipped = predicted.clamp(0, 1)
        metrics = {
            "mse": error.square().sum(dim=(2, 3, 4)),
            "mae": error.abs().sum(dim=(2, 3, 4)),
            "ssim": _ssim(clipped, future, 1.0),
            "ssim_range_2": _ssim(clipped, future, 2.0),
            "psnr": -10 * (clipped - future).square().mean(dim=(2, 3, 4)).clamp(min=1e-10).log10(),
            "last_frame_mse": (last_frame - future).square().sum(dim=(2, 3, 4)),
            "last_frame_ssim": _ssim(last_frame, future, 1.0),
        }
        for name, values in metrics.items():  # (N, T')
            self._sums[name] = self._sums.get(name, 0.0) + values.double().sum(dim=0).cpu()
        self._count += len(future)

    def compute(self, reduce_sum: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> dict[str, float]:
        """``reduce_sum`` sums a tensor over all processes, each of which has accumulated different clips."""
        count = float(reduce_sum(torch.tensor(float(self._count))))
        means = {name: reduce_sum(sums) / count for name, sums in self._sums.items()}  # each (T',)
        metrics = {name: float(values.mean()) for name, values in means.items()}
        per_frame = {
            f"{name}/{k}": float(value)
            for name, values in means.items()
            for k, value in enumerate(values.tolist(), start=1)
        }
        return metrics | per_frame


def _ssim(predicted: Tensor, true: Tensor, data_range: float) -> Tensor:
    """SSIM of each frame: (N, T, C, H, W) to (N, T)."""
    at_once = max(1, _AT_ONCE // true[0, 0].numel())
    parts = [
        _ssim_at_once(one[None], other[None], data_range)[0]
        for one, other in zip(predicted.flatten(0, 1).split(at_once), true.flatten(0, 1).split(at_once), strict=True)
    ]
    return torch.cat(parts).view(true.shape[:2])


def _ssim_at_once(predicted: Tensor, true: Tensor, data_range: float) -> Tensor:
    from torchmetrics.functional.image import structural_similarity_index_measure  # takes a second to import

    # All frames as channels of one image: each channel is computed separately, and it is much faster on a CPU.
    shape = (1, -1, *predicted.shape[-2:])  # (1, N T C, H, W)
    _, pixels = structural_similarity_index_measure(
        predicted.reshape(shape),
        true.reshape(shape),
        gaussian_kernel=False,
        kernel_size=WINDOW_SIZE,
        data_range=data_range,
        reduction="none",
        return_full_image=True,
    )
    edge = WINDOW_SIZE // 2
    inner: Tensor = pixels[..., edge:-edge, edge:-edge].reshape(*predicted.shape[:2], -1)  # (N, T, pixels)
    return inner.mean(dim=-1)
