"""What a run changes of the process, and puts back at its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from zoo_core.config.command_line import shown_from_here
from zoo_core.engine.deterministic import naming_operations
from zoo_core.engine.precision import restoring_precision
from zoo_core.fingerprint.random_state import random_state_kept
from zoo_core.registry.process_state import restoring_process


@contextmanager
def own_settings() -> Iterator[None]:
    """Context of a run, at whose end the process is as before: what an engine, a plugin or a run has changed of it.

    Gradients are computed in it.
    """
    with (
        torch.inference_mode(False),  # a program may call it where its own code computes no gradients
        torch.enable_grad(),
        shown_from_here(),
        restoring_process(),
        restoring_precision(),
        naming_operations(),
        random_state_kept(),
    ):
        yield
