"""The tensors that modules are built with, which are those that a checkpoint can be loaded into."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from zoo_core.errors import ZooError
from zoo_core.weights.matching import Shape
from zoo_core.weights.unset_buffers import tensor_shapes


class BuiltTensors:
    """The names and shapes of the parameters and buffers of modules, each of which has a path such as ``model``."""

    def __init__(self, modules: Iterable[tuple[str, nn.Module]]) -> None:
        self._shapes = {path: tensor_shapes(module) for path, module in modules}

    def check(self, modules: Iterable[tuple[str, nn.Module]]) -> None:
        """Raise ZooError if a step has changed which tensors a module has, or their shapes.

        Neither a checkpoint nor weights could be loaded, since modules are built as they were at first. A buffer that
        had no value may have got one.
        """
        for path, module in modules:
            before, now = self._shapes[path], tensor_shapes(module)
            for name in sorted({*before, *now}):
                had_no_value = name in before and before[name] is None
                if before.get(name) != now.get(name) and not (had_no_value and name in now):
                    _refuse("the model" if path == "model" else f"self.{path}", name, before.get(name), now.get(name))


def _refuse(module: str, name: str, before: Shape | None, now: Shape | None) -> None:
    change = f"had shape {before} after setup() and now has {now}"
    if before is None:
        change = f"was created after setup(), with shape {now}"
    elif now is None:
        change = f"was removed after setup(), when it had shape {before}"
    raise ZooError(
        f"'{name}' of {module} {change}; what is saved could not be loaded again.",
        "Create it in the constructor; a buffer that gets its shape in training with register_buffer(name, None).",
    )
