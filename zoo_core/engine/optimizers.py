"""Optimizers whose step can be recorded as a CUDA graph: their learning rates and step counters are on the device."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

from zoo_core.engine.held import held_optimizers

# Also said for a step that is not captured, such as those before the capture. The setting costs nothing there.
warnings.filterwarnings("ignore", "This instance was constructed with capturable=True", UserWarning)


def fit_to_device(values: Iterable[object], device: torch.device) -> None:
    """Set up the optimizers in ``values`` for ``device``, also after state of another kind of device has been loaded.

    On CUDA a learning rate that is a number becomes a tensor on the device, which schedules change in place, and
    ``capturable`` is set where the optimizer has it. Both hold for every step on the device, whether it is captured or
    not, so that both give the same bits. On a CPU such a tensor becomes a number again. A tensor that the trainer gave
    to the optimizer is left as it is, since the trainer may change it.
    """
    for one in held_optimizers(values):
        _fit(one, device)


def _fit(optimizer: Optimizer, device: torch.device) -> None:
    if device.type not in ("cuda", "cpu"):
        return
    on_cuda, groups = device.type == "cuda", optimizer.param_groups
    for settings in (optimizer.defaults, *groups):
        if "capturable" in settings:
            settings["capturable"] = on_cuda
    given = isinstance(optimizer.defaults.get("lr"), Tensor)
    for group in groups:
        rate = group.get("lr")
        if isinstance(rate, Tensor) and not on_cuda and not given:
            group["lr"] = rate.item()
        elif isinstance(rate, (int, float)) and on_cuda and (group.get("capturable") or group.get("fused")):
            # Others would wait for the device to read it.
            group["lr"] = torch.tensor(rate, dtype=torch.float32, device=device)
