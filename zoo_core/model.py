"""What a model is: a network that can be built from its settings alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import signature
from types import MethodType
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from zoo_core.config.config_class import NoSettings, prepare_config_class
from zoo_core.config.control import Control
from zoo_core.config.settings import read
from zoo_core.errors import ZooError

_REPR_WIDTH = 100
"""Characters of settings in the ``repr`` of a model."""


class _class_or_instance:  # a decorator
    """Makes a method of a function whose first argument is the instance, or the class if it is called on the class."""

    def __init__(self, function: Callable[..., int]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: object, owner: type) -> Callable[..., int]:
        return MethodType(self.function, owner if instance is None else instance)


class Model(nn.Module):
    """Base class of models: a network that can be built from its settings alone.

    A subclass defines a class ``Config`` whose fields are made with `setting`, and passes the config to
    ``super().__init__``. ``Config`` becomes a frozen, keyword-only dataclass; a model without settings needs none.
    Weights files contain the settings, so that `load` can rebuild the network.

    Parameters
    ----------
    config : Model.Config
        The settings, validated.

    Attributes
    ----------
    config : Model.Config
        The settings.
    outputs : mapping of str to str
        What `predict` returns, by name: ``{"image": "(N, 1, 28, 28) in [0, 1]"}``. A letter stands for any length.
    member : str
        In a family that `Registry.models` registers, the name without the prefix: ``"resnet18"`` of
        ``timm/resnet18``. Otherwise empty.

    See Also
    --------
    build : Build a model by name.
    load : Load a model with its weights.
    Trainer : Base class of trainers.

    Notes
    -----
    The ``repr`` of a model is one line: the settings that differ from their defaults, the number of parameters, device
    and dtype. ``torch.nn.Module.__repr__(model)`` returns the tree of modules.

    If the network supports activation checkpointing, call the setting ``checkpointing``: the error message of a run
    that is out of memory then suggests it.

    Examples
    --------
    >>> class Autoencoder(zoo.Model):
    ...     class Config:
    ...         width: int = zoo.setting(64, "length of the code", ge=1)
    ...
    ...     config: Config
    ...
    ...     def __init__(self, config: Config) -> None:
    ...         super().__init__(config)
    ...         self.encoder = torch.nn.Linear(784, config.width)
    >>> Autoencoder.from_settings({"width": 32})
    Autoencoder(width=32): 25,120 parameters on cpu, float32
    """

    Config: ClassVar[type[Any]] = NoSettings
    config: Any
    outputs: ClassVar[Mapping[str, str]] = {}
    member: ClassVar[str] = ""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        prepare_config_class(cls)

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in _changed(self.config))
        if len(settings) > _REPR_WIDTH:
            settings = f"{settings[:_REPR_WIDTH]}…"
        parameters = [parameter for parameter in self.parameters() if not is_lazy(parameter)]
        if not parameters:
            return f"{type(self).__name__}({settings}): no parameters"
        count, trainable = self.count_parameters(), self.count_parameters(trainable=True)
        counted = f"{count:,} parameters" + (f" ({trainable:,} trainable)" if 0 < trainable < count else "")
        devices = " and ".join(sorted({str(parameter.device) for parameter in parameters}))
        dtypes = " and ".join(sorted({str(parameter.dtype).removeprefix("torch.") for parameter in parameters}))
        return f"{type(self).__name__}({settings}): {counted} on {devices}, {dtypes}"

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Model:
        """Build the network from a mapping of settings.

        Parameters
        ----------
        settings : mapping of str to object
            Settings by name; those left out have their defaults.

        Returns
        -------
        Model
            The network, with initial weights.

        Raises
        ------
        BadSetting
            If a setting is unknown, missing, or has a value of the wrong type or out of range.
        """
        return cls(read(cls.Config, settings, f"model '{cls.__name__}'"))

    @_class_or_instance
    def count_parameters(self, *, trainable: bool = False) -> int:
        """Count the parameters of the network; a parameter with several names (tied weights) counts once.

        Called on the class, it counts those of the network with default settings, without allocating them.

        Parameters
        ----------
        trainable : bool, default False
            Count only parameters that require gradients, without frozen ones.

        Returns
        -------
        int
            The number of parameters. Buffers, such as running statistics, and lazy parameters without a shape yet are
            not counted.

        Raises
        ------
        BadSetting
            If it is called on a class with required settings.
        """
        if isinstance(self, type):
            with torch.device("meta"):
                self = self.from_settings({})
        counted = (one for one in self.parameters() if not is_lazy(one) and (one.requires_grad or not trainable))
        return sum(parameter.numel() for parameter in counted)

    def predict(self, *inputs: Any, **named: Any) -> dict[str, Any]:
        """Compute what a user wants from the model, from plain inputs.

        ``zoo predict NAME key=value`` and ``zoo demo`` call it. Override it with named arguments of plain types:
        numbers, strings, lists of them, and paths of image files.

        Parameters
        ----------
        *inputs : object
            Inputs, as the subclass defines them.
        **named : object
            Inputs by name.

        Returns
        -------
        dict of str to object
            Predictions by name. Each is a value as `Trainer.preview` returns it, that is a string, a `Table`, an
            `Audio`, images ``(N, C, H, W)`` or clips ``(N, T, C, H, W)`` in [0, 1], a class map ``(H, W)`` of type
            ``torch.uint8`` or another array; or a plain value such as ``[3]``.

            ``zoo predict`` prints texts and tables, and all other values as JSON. ``zoo predict -o mask.png`` writes
            the first image, clip or class map to ``mask.png`` and the others next to it, with their names
            (``mask-overlay.png``); it is the same for ``.gif`` and ``.npy``, ``.txt``, ``.csv`` and ``.wav``.

        Raises
        ------
        ZooError
            If the model does not override it, or an input is not suitable.
        """
        raise ZooError(f"{type(self).__name__} does not support predict.", "Call it as a module: model(inputs).")

    def read_inputs(self, **inputs: Any) -> Mapping[str, Any]:
        """Read the files among the arguments of `predict`, for the prediction of many files.

        ``zoo predict NAME images=FOLDER`` calls it in threads, some files ahead of `predict`, so that reading and
        computing overlap. Override it if `predict` also takes what has been read, such as a tensor. It must not change
        the model.

        Parameters
        ----------
        **inputs : object
            Arguments of `predict`, with the path of one file.

        Returns
        -------
        mapping of str to object
            The arguments with which `predict` is called. By default ``inputs``.

        Examples
        --------
        >>> def read_inputs(self, **inputs):
        ...     return {**inputs, "image": zoo.read_image(inputs["image"], 3).unsqueeze(0)}
        """
        return inputs

    def predict_batch(self, inputs: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Predict for several inputs, for the prediction of many files.

        Override it if a batch takes less time than its parts, as small images do. If it raises an error, each input is
        predicted by itself, to find out which one caused it.

        Parameters
        ----------
        inputs : sequence of mapping
            What `read_inputs` returned for each file.

        Returns
        -------
        sequence of mapping
            What `predict` returns, for each file. By default it is called for one after another.
        """
        return [self.predict(**one) for one in inputs]

    def example(self) -> dict[str, Any]:
        """Return example arguments of `predict`, for ``zoo check``, ``zoo export`` and ``zoo demo``.

        Returns
        -------
        dict of str to object
            Arguments by name. By default empty: there is no example.
        """
        return {}

    def controls(self) -> Mapping[str, Control]:
        """Return the controls with which ``zoo demo`` asks for the arguments of `predict`.

        By default they follow from the signature of `predict`: an ``int``, ``float``, ``bool`` or ``str``, a
        ``Literal`` for a choice, a ``Path`` for an image.

        Returns
        -------
        mapping of str to Control
            Controls by the name of the argument. Arguments that are left out keep their default values.

        Examples
        --------
        >>> def controls(self):
        ...     return {
        ...         "labels": zoo.Control("multiselect", "digits", choices=range(10)),
        ...         "seed": zoo.Control("int", minimum=0, maximum=999),
        ...         "interpolation": zoo.Control("float", minimum=0.0, maximum=1.0),
        ...     }
        """
        return {}

    def forward_example(self) -> dict[str, Any]:
        """Return example arguments of ``forward``, with which ``zoo export`` traces the network.

        Override it if `predict` does not call the model as a module, ``self(...)``, or if `example` is empty. By
        default the arguments with which ``predict(**example())`` calls the model are used.

        Returns
        -------
        dict of str to torch.Tensor
            Tensors by the name of the argument, the first dimension being the batch dimension.
        """
        return {}

    def usage(self) -> str:
        """Return the arguments to type after ``zoo predict NAME``, as shown at the end of a run.

        Override it if the names of the arguments of `predict` are not enough.

        Returns
        -------
        str
            By default ``name=…`` for each argument without a default. Without one, ``-o image.png``, or nothing if
            `outputs` has no ``"image"``, since texts, tables and numbers are printed.
        """
        required = [name for name, one in signature(self.predict).parameters.items() if one.default is one.empty]
        writes_image = "image" in self.outputs or not self.outputs
        return " ".join(f"{name}=…" for name in required) or ("-o image.png" if writes_image else "")


def _changed(config: Any) -> Iterator[tuple[str, Any]]:
    """The settings that differ from their defaults, in the order of their definition."""
    for field in dataclasses.fields(config) if dataclasses.is_dataclass(config) else ():
        default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
        value = getattr(config, field.name)
        if value != default:
            yield field.name, value
