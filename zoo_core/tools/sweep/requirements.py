"""What a sweep needs that zoo itself does not."""

from __future__ import annotations

import os

from zoo_core.errors import BadSetting
from zoo_core.tools import extras


def check_packages() -> None:
    """Refuse to begin without the packages of the extra ``sweep``.

    Raises:
        ZooError: if one is missing.
    """
    extras.check_packages("a sweep", ("optuna", "matplotlib"), "Type: pip install 'zoo-core[sweep]'")


def check_single_process() -> None:
    """Refuse to be one of several processes of one training: each would begin trials of its own.

    Raises:
        BadSetting: if this is one.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise BadSetting(
            "a sweep's trials run in one process each, but this is one of several (WORLD_SIZE is set).",
            "Start `zoo sweep` without torchrun; several of them share the trials of one sweep with --resume.",
        )
