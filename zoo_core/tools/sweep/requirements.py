"""Requirements of a sweep, checked before anything heavy is imported."""

from __future__ import annotations

import os

from zoo_core.errors import BadSetting
from zoo_core.tools import extras


def check_packages() -> None:
    """Check that the packages of the extra ``sweep`` are installed.

    Raises:
        ZooError: if one is missing.
    """
    extras.check_packages("a sweep", ("optuna", "matplotlib"), "Type: pip install 'zoo-core[sweep]'")


def check_single_process() -> None:
    """Check that this is not one of several processes of a distributed run: each would start its own trials.

    Raises:
        BadSetting: if it is.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise BadSetting(
            "each trial of a sweep runs in one process, but WORLD_SIZE is set to more than 1.",
            "Start `zoo sweep` without torchrun; use --resume to let several processes share the trials.",
        )
