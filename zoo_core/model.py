"""What a model is to zoo: a network that its settings alone can build."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any, ClassVar

import torch
from torch import nn

from zoo_core.config.control import Control
from zoo_core.config.settings import check_config_class, read
from zoo_core.errors import ZooError


class Model(nn.Module):
    """A network built from its settings alone; ``zoo.load`` gives it back with its weights.

    A subclass nests a frozen ``Config`` whose fields are made with ``zoo.setting`` and passes it on. Where it can
    compute again what it would keep for the backward pass, the setting is called ``checkpointing``: a run whose memory
    ran out says to set it.

        class Autoencoder(zoo.Model):
            @dataclass(frozen=True, kw_only=True)
            class Config:
                width: int = zoo.setting(64, "length of the code", ge=1)

            config: Config

            def __init__(self, config: Config) -> None:
                super().__init__(config)
                self.encoder = nn.Linear(784, config.width)
    """

    Config: ClassVar[type[Any]]
    config: Any
    """The settings the network was built with, each checked."""
    outputs: ClassVar[Mapping[str, str]] = {}
    """What ``predict`` gives, by name: ``{"image": "(N, 1, 28, 28) in [0, 1]"}``; a letter stands for any length."""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        check_config_class(cls)

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Model:
        """Build the network from a mapping of settings, each checked."""
        return cls(read(cls.Config, settings, f"model '{cls.__name__}'"))

    @classmethod
    def count_parameters(cls) -> int:
        """Parameters of the network with its default settings, counted without allocating them."""
        with torch.device("meta"):
            return sum(parameter.numel() for parameter in cls.from_settings({}).parameters())

    def predict(self, *inputs: Any, **named: Any) -> dict[str, Any]:
        """What a user wants from the model, by name: ``{"image": (N, C, H, W) in [0, 1]}``, ``{"label": [3]}``.

        ``zoo predict NAME key=value`` calls this with the values of its words. It may give pictures (N, C, H, W) and
        clips (N, T, C, H, W) in [0, 1], classes of pixels (H, W) as ``torch.uint8``, or plain values. ``-o FILE`` takes
        the first that can be drawn, as ``.png``, ``.gif`` or ``.npy``, and puts the others beside it (``mask.png``,
        ``mask-overlay.png``).
        """
        raise ZooError(f"{type(self).__name__} offers no predictions.", "Call it as a module: model(inputs).")

    def example(self) -> dict[str, Any]:
        """Inputs to try ``predict`` with: what a check or a demonstration calls it with. None unless overridden."""
        return {}

    def controls(self) -> Mapping[str, Control]:
        """How ``zoo demo`` asks for the arguments of ``predict``, by their names; those left out keep their defaults.

            return {
                "labels": zoo.Control("multiselect", "digits", choices=range(10)),
                "seed": zoo.Control("int", minimum=0, maximum=999),
                "walk": zoo.Control("float", "from the seed to the other", minimum=0.0, maximum=1.0),
            }

        Unless overridden, they are read off ``predict``: an ``int``, ``float``, ``bool`` or ``str``, a ``Literal`` to
        choose from, a ``Path`` of a picture. What ``predict`` gives is shown as ``predict`` says it.
        """
        return {}

    def forward_example(self) -> dict[str, Any]:
        """Tensors to call the model itself with, by the names of ``forward``'s arguments, one example a row.

        ``zoo export`` follows the network with them. Needed where ``predict(**example())`` does not call the model
        itself, ``self(…)``, or there is no ``example``; otherwise what ``predict`` calls it with is taken.
        """
        return {}

    def usage(self) -> str:
        """What ``zoo predict NAME`` should be followed by, as a run says at its end.

        Override it where the names of ``predict``'s arguments do not say enough.
        """
        needed = [name for name, one in signature(self.predict).parameters.items() if one.default is one.empty]
        return " ".join(f"{name}=…" for name in needed) or "-o picture.png"
