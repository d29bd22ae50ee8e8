"""Selection of the device, and what it does not support."""

from __future__ import annotations

import os

import torch

from zoo_core.config.run_settings import RunSettings
from zoo_core.errors import BadSetting


def find_device(name: str, key: str = "run.device") -> torch.device:
    """The device called ``name``; for ``auto`` the accelerator, or the CPU if there is none.

    ``key`` is the setting or argument that the error message names.

    Raises:
        BadSetting: if ``name`` is not a device of this machine.
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if name == "auto":
        return accelerator or torch.device("cpu")
    available = ["cpu"]
    if accelerator is not None:
        available += [
            accelerator.type,
            *(f"{accelerator.type}:{n}" for n in range(torch.accelerator.device_count())),
        ]
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or str(device) not in available:
        raise BadSetting(
            f"{key} is '{name}', but this machine has {', '.join(available)}.",
            "Write `--device cpu`, or leave it out." if key == "run.device" else "Write 'cpu', or leave it out.",
        )
    return device


def local_device_index(device: torch.device) -> int:
    """Index of the accelerator that this process uses: that of its local rank."""
    local_rank, count = int(os.environ.get("LOCAL_RANK", 0)), torch.accelerator.device_count()
    if device.type == "mps" and int(os.environ.get("WORLD_SIZE", 1)) > 1:
        raise BadSetting(
            "PyTorch supports one process only on mps, but this run has several.",
            "Leave out --processes, or write `--device cpu`.",
        )
    if local_rank >= count:
        raise BadSetting(
            f"this machine runs at least {local_rank + 1} processes, but has {count} {device.type} devices.",
            f"Write `--processes {count}`, or `--device cpu`.",
        )
    return device.index or local_rank


def refuse_unsupported(settings: RunSettings, world: int, precision: str, device: torch.device) -> None:
    """Raise BadSetting for settings that this number of processes, this precision or this device does not support."""
    if settings.cuda_graph == "on" and device.type != "cuda":
        raise BadSetting(
            f"run.cuda_graph is 'on', but the device is {device.type}, which has no CUDA graphs.",
            "Write `run.cuda_graph=auto`, or leave it out.",
        )
    if settings.fsdp and world == 1:
        raise BadSetting(
            "run.fsdp shards a network across processes, but this run has one process.", "Add `--processes 2`."
        )
    if settings.fsdp and precision == "float16":
        raise BadSetting(
            "run.fsdp supports run.precision=float32 and bfloat16, but not float16.",
            "Write `run.precision=bfloat16`.",
        )
    if settings.fsdp and settings.ema_decay:
        raise BadSetting(
            f"run.ema_decay is {settings.ema_decay}, but run.fsdp shards the weights, and an average needs a copy.",
            "Write `run.ema_decay=0`, or leave run.fsdp out.",
        )
    if settings.sync_batch_norm and (world == 1 or device.type == "cpu"):
        raise BadSetting(
            "run.sync_batch_norm needs several processes with one accelerator each; CPUs are not supported.",
            "Leave it out.",
        )
