"""The precision of a run: the type of the forward pass, and how float32 products are computed on CUDA."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from zoo_core.errors import BadSetting

AUTOCAST = {"float32": "no", "tf32": "no", "bfloat16": "bf16", "float16": "fp16"}
"""Accelerate's name of the type that autocast uses in a precision."""


def find_precision(name: str, device: torch.device) -> str:
    """The precision called ``name``; for ``auto`` the fastest one that is never slower than float32 on ``device``.

    Raises:
        BadSetting: if it is tf32, and the device has no instructions for it.
    """
    if name == "auto":
        return _fastest(device)
    if name == "tf32" and not has_tf32(device):
        what = torch.cuda.get_device_name(device) if device.type == "cuda" else f"the device '{device}'"
        raise BadSetting(
            f"run.precision is 'tf32', but {what} has no TF32 instructions; CUDA devices have them from compute "
            "capability 8.0 on.",
            "Write `run.precision=float32`, or `auto`.",
        )
    return name


def has_tf32(device: torch.device) -> bool:
    return device.type == "cuda" and torch.cuda.get_device_capability(device)[0] >= 8 and torch.cuda.is_tf32_supported()


def stored_dtype(precision: str) -> torch.dtype:
    """The dtype of the tensors that a precision computes with: float32 for TF32, which is a rounding of operands."""
    dtype: torch.dtype = torch.float32 if precision == "tf32" else getattr(torch, precision)
    return dtype


def set_precision(precision: str, device: torch.device) -> None:
    """Let matrix products and convolutions of float32 tensors on CUDA use TF32, or not.

    By default PyTorch uses it in convolutions only. In bfloat16 and float16 it is off: what autocast leaves in float32
    needs its precision.
    """
    if device.type != "cuda":
        return
    tf32 = precision == "tf32"
    # The old settings first: they also set what torch.compile reads, and raise if they contradict the new ones.
    for backend in _backends():
        _set_allow_tf32(backend, tf32)
    for products in _products():
        products.fp32_precision = "tf32" if tf32 else "ieee"


@contextmanager
def computing_in(precision: str, device: torch.device) -> Iterator[None]:
    """Context in which float32 products on ``device`` are computed as ``precision`` says."""
    with restoring_precision():
        set_precision(precision, device)
        yield


@contextmanager
def restoring_precision() -> Iterator[None]:
    """Context at whose end products of float32 tensors are computed as before."""
    old, new = [_allow_tf32(one) for one in _backends()], [one.fp32_precision for one in _products()]
    try:
        yield
    finally:
        for backend, allowed in zip(_backends(), old, strict=True):
            if allowed is not None:
                _set_allow_tf32(backend, allowed)
        for products, value in zip(_products(), new, strict=True):
            products.fp32_precision = value


def _backends() -> tuple[Any, ...]:
    return torch.backends.cuda.matmul, torch.backends.cudnn


def _products() -> tuple[Any, ...]:
    cudnn: Any = torch.backends.cudnn  # its types leave these out
    return torch.backends.cuda.matmul, cudnn.conv, cudnn.rnn


def _allow_tf32(backend: Any) -> bool | None:
    """PyTorch's old setting; None if it contradicts the new one, since a script has set that only."""
    try:
        with _no_deprecation():
            return bool(backend.allow_tf32)
    except RuntimeError:
        return None


def _set_allow_tf32(backend: Any, allowed: bool) -> None:
    with _no_deprecation():
        backend.allow_tf32 = allowed


@contextmanager
def _no_deprecation() -> Iterator[None]:
    """Context without PyTorch's advice to use the new settings only, which torch.compile does not do either."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Please use the new API settings")
        yield


def _fastest(device: torch.device) -> str:
    if device.type == "cuda":  # not bfloat16: its casts are kernels of their own, which small networks wait for
        return "tf32" if has_tf32(device) else "float32"
    if device.type == "cpu":
        # AVX512_BF16 and ARM's instructions are left out: without a matrix unit the casts may cost more than they save.
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # not in every release
        return "bfloat16" if capabilities.get("amx_bf16") else "float32"
    return "bfloat16" if device.type == "xpu" else "float32"
