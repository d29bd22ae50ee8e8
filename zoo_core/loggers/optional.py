"""What the loggers share that need a package of an extra."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from zoo_core.errors import ZooError

if TYPE_CHECKING:
    from torch import Tensor


def check_installed(package: str) -> None:
    """Raise ZooError, which names the extra, if a logger's package is not installed."""
    if find_spec(package) is None:
        raise ZooError(
            f"the logger '{package}' needs the package {package}, which is not installed.",
            f"pip install 'zoo-core[{package}]', or leave it out of run.loggers.",
        )


def as_picture(value: Tensor) -> Any:
    """Images, clips, a class map or an array as one picture (H, W, 3), 8 bits, a NumPy array."""
    from zoo_core.data.value_output import picture

    drawn = picture(value)  # in [0, 1]
    return (drawn * 255).round().byte().permute(1, 2, 0).contiguous().numpy()
