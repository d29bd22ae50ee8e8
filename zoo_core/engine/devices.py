"""Selection of the device and of the precision it computes in."""

from __future__ import annotations

from typing import Any

import torch

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


def find_precision(name: str, device: torch.device) -> str:
    """The precision called ``name``; for ``auto`` bfloat16 if ``device`` has native instructions, else float32."""
    if name != "auto":
        return name
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # not in every release
        native = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    else:
        native = device.type == "xpu"
    return "bfloat16" if native else "float32"
