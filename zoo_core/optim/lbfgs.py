"""L-BFGS, which evaluates the loss several times in a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from zoo_core.errors import BadSetting


class LBFGS(torch.optim.LBFGS):
    """``torch.optim.LBFGS``, with an error that says what a trainer has to do."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Perform a step.

        Raises:
            BadSetting: without a closure.
        """
        if closure is None:
            raise BadSetting(
                "trainer.optimizer is 'lbfgs', which needs a closure, but the trainer calls optimizer.step() without.",
                "Choose another one, or write `self.optimizer.step(closure)` in the trainer; it fits every optimizer.",
            )
        return super().step(closure)  # type: ignore[no-untyped-call]


LBFGS.__doc__ = torch.optim.LBFGS.__doc__  # `zoo info lbfgs` shows what it says of the options
