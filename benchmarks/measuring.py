"""Helpers of the benchmarks: the MNIST files, medians and spreads, and the state of the machine."""

from __future__ import annotations

import gzip
import json
import os
import platform
import shutil
import statistics
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def data_root() -> Path:
    """The folder ``$ZOO_DATA``, which must contain the full MNIST: benchmarks do not download anything."""
    root = Path(os.environ.get("ZOO_DATA", "")).absolute()
    raw = root / "MNIST" / "raw"
    if not all((raw / name).is_file() or (raw / f"{name}.gz").is_file() for name in FILES):
        sys.exit("ZOO_DATA should be a folder with the four files of MNIST in MNIST/raw, gzipped or not.")
    return root


def as_installed() -> dict[str, str]:
    """The environment for a command whose start is timed, with bytecode caching on as in an installation."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def copy_data(root: Path, copy: Path, *, packed: bool) -> Path:
    """Copy the data below ``root``, with all files gzipped (as they are downloaded) or none.

    torchvision reads files that are not gzipped; after a download it keeps both.
    """
    source, raw = root / "MNIST" / "raw", copy / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in FILES:
        plain, zipped = source / name, source / f"{name}.gz"
        if packed and zipped.is_file():
            shutil.copy(zipped, raw)
        elif packed:
            (raw / zipped.name).write_bytes(gzip.compress(plain.read_bytes()))
        elif plain.is_file():
            shutil.copy(plain, raw)
        else:
            (raw / name).write_bytes(gzip.decompress(zipped.read_bytes()))
    return copy


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(first: Sequence[float], second: Sequence[float]) -> dict[str, float]:
    """The spread of ``first / second``, computed within each round, so that the load of the machine affects both."""
    return spread([one / other for one, other in zip(first, second, strict=True)])


def format_spread(values: dict[str, float], digits: int, unit: str = "") -> str:
    """``1.234 (1.200 to 1.300)``"""
    return f"{values['median']:.{digits}f}{unit} ({values['min']:.{digits}f} to {values['max']:.{digits}f})"


def status(name: str, process: int | str = "self") -> int:
    """A value in bytes from /proc/PID/status on Linux: VmRSS is the current memory of a process, VmHWM its peak.

    0 for a zombie process, which has none.
    """
    lines = Path("/proc", str(process), "status").read_text(encoding="ascii").splitlines()
    return 1024 * next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def installed(packages: Mapping[str, Sequence[str]]) -> list[str]:
    """The names whose packages are all installed; prints those that are skipped, and how to install them."""
    available = [name for name, required in packages.items() if all(map(find_spec, required))]
    if skipped := [name for name in packages if name not in available]:
        print(f"skipped, not installed: {', '.join(skipped)}. Type: pip install 'zoo-core[bench]'")
    return available


def load_average() -> list[float]:
    """The load average of the last 1, 5 and 15 minutes; a high value before the start means a busy machine."""
    return [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else []


def machine() -> dict[str, Any]:
    versions = {name: _version(name) for name in ("torch", "torchvision", "zoo-core")}
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **versions,
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"  # zoo-core from a checkout


def _processor() -> str:
    """The model name of the processor, and its widest instruction set for matrix products."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.is_file() else []
    info = dict(map(str.strip, line.partition(":")[::2]) for line in lines)
    flags = info.get("flags", "").split()
    widest = next((one for one in ("amx_bf16", "avx512_bf16", "avx512f", "avx2") if one in flags), "")
    return " ".join(filter(None, [info.get("model name") or platform.processor() or platform.machine(), widest]))


def write(path: Path | None, result: dict[str, Any]) -> None:
    if path is not None:
        path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
