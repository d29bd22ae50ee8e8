"""The devices of this machine, and the precisions they compute in."""

from __future__ import annotations

from typing import Any

import torch

from zoo_core.errors import BadSetting


def find_device(name: str, key: str = "run.device") -> torch.device:
    """``auto`` as the accelerator that is there, else the CPU; any other name as the device it says. ``key`` is what
    set it, for the error.

    Raises:
        BadSetting: if the name is no device, or this machine does not have it.
    """
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if name == "auto":
        return accelerator or torch.device("cpu")
    here = ["cpu"]
    if accelerator is not None:
        here += [
            accelerator.type,
            *(f"{accelerator.type}:{n}" for n in range(torch.accelerator.device_count())),
        ]
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or str(device) not in here:
        raise BadSetting(
            f"{key} is '{name}', but this machine has {', '.join(here)}.",
            "Write `--device cpu`, or leave it out." if key == "run.device" else "Write 'cpu', or leave it out.",
        )
    return device


def find_precision(name: str, device: torch.device) -> str:
    """``auto`` as bfloat16 where ``device`` has instructions for it, which are about twice as fast, else as float32."""
    if name != "auto":
        return name
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # not in every release
        fast = any(capabilities.get(one) for one in ("avx512_bf16", "amx_bf16", "bf16"))
    else:
        fast = device.type == "xpu"
    return "bfloat16" if fast else "float32"
