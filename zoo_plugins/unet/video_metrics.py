"""How far predicted frames are from the true ones, by the protocol of OpenSTL's table of Moving MNIST.

MSE and MAE are summed over a frame's pixels and averaged over clips and frames, before predictions are clipped to
[0, 1]; SSIM and PSNR are taken after. SSIM is that of Wang et al. 2004 with a uniform window of 7 x 7, averaged where
the whole window lies in the frame. Its data range is 1 in ``ssim``; ``ssim_range_2`` is what the table has, whose
frames are floating-point numbers, for which its library assumed a range of 2 (and divided covariances by 48 for 49
pixels, which is left out here: of 20 clips it moved the mean from 0.7651 to 0.7648). PSNR is in dB, averaged over
frames.
``last_frame_mse`` and ``last_frame_ssim`` are those of a prediction that repeats the last given frame. After a slash:
the metric of that frame ahead alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

WINDOW = 7


class VideoMetrics:
    """Adds up over batches."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}  # each (T',)
        self._clips = 0

    def add(self, past: Tensor, predicted: Tensor, future: Tensor) -> None:
        """``past`` (N, T, C, H, W); ``predicted`` and ``future`` (N, T', C, H, W)."""
        error = predicted - future
        copied = past[:, -1:].expand_as(future)
        clipped = predicted.clamp(0, 1)
        of_frames = {
            "mse": error.square().sum(dim=(2, 3, 4)),
            "mae": error.abs().sum(dim=(2, 3, 4)),
            "ssim": _ssim(clipped, future, 1.0),
            "ssim_range_2": _ssim(clipped, future, 2.0),
            "psnr": -10 * (clipped - future).square().mean(dim=(2, 3, 4)).clamp(min=1e-10).log10(),
            "last_frame_mse": (copied - future).square().sum(dim=(2, 3, 4)),
            "last_frame_ssim": _ssim(copied, future, 1.0),
        }
        for name, values in of_frames.items():  # (N, T')
            self._sums[name] = self._sums.get(name, 0.0) + values.double().sum(dim=0).cpu()
        self._clips += len(future)

    def read(self, over_processes: Callable[[Tensor], Tensor] = lambda tensor: tensor) -> dict[str, float]:
        """``over_processes`` gives the sum over all processes, each of which added other clips."""
        clips = float(over_processes(torch.tensor(float(self._clips))))
        means = {name: over_processes(sums) / clips for name, sums in self._sums.items()}
        metrics = {name: float(values.mean()) for name, values in means.items()}
        single = {
            f"{name}/{ahead}": float(value)
            for name, values in means.items()
            for ahead, value in enumerate(values.tolist(), start=1)
        }
        return metrics | single


def _ssim(predicted: Tensor, true: Tensor, data_range: float) -> Tensor:
    """(N, T)"""
    from torchmetrics.functional.image import structural_similarity_index_measure  # a second, needed at the end only

    # Frames as the channels of one picture: each is measured by itself all the same, and many times faster on a CPU.
    shape = (1, -1, *predicted.shape[-2:])
    _, pixels = structural_similarity_index_measure(
        predicted.reshape(shape),
        true.reshape(shape),
        gaussian_kernel=False,
        kernel_size=WINDOW,
        data_range=data_range,
        reduction="none",
        return_full_image=True,
    )
    edge = WINDOW // 2
    inner: Tensor = pixels[..., edge:-edge, edge:-edge].reshape(*predicted.shape[:2], -1)
    return inner.mean(dim=-1)
