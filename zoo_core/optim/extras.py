"""The optimizers of the package pytorch-optimizer, which is imported when one of them is used."""

from __future__ import annotations

from typing import Any

from zoo_core.errors import BrokenPlugin


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    try:
        import pytorch_optimizer
    except ModuleNotFoundError as error:
        raise BrokenPlugin(
            f"the optimizer {name} needs the package pytorch-optimizer, which is not installed.",
            "pip install 'zoo-core[optim]'",
        ) from error
    return getattr(pytorch_optimizer, name)
