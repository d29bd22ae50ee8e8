"""The GPU, its driver and the versions that were measured; prints them as JSON."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import torch
from measuring import machine


def describe() -> dict[str, Any]:
    found: dict[str, Any] = {**machine(), "gpu": "none", "cuda": torch.version.cuda, "cudnn": None, "driver": None}
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        found |= {
            "gpu": properties.name,
            "gpu_memory_gib": round(properties.total_memory / 2**30),
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
            "driver": driver(),
        }
    return found


def driver() -> str | None:
    """The version of the driver; None without ``nvidia-smi``."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.split("\n")[0].strip()


if __name__ == "__main__":
    print(json.dumps(describe()))
