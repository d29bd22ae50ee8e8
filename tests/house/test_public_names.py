"""`import zoo_core as zoo`: no import of a module replaces a public name."""

from __future__ import annotations

import importlib
import pkgutil
import types

import zoo_core as zoo


def test_no_module_has_a_public_name() -> None:
    modules = [module.name for module in pkgutil.iter_modules(zoo.__path__)]

    assert not set(modules) & set(zoo.__all__)


def test_public_names_are_not_modules_after_importing_modules() -> None:
    for name in ("training.runner", "checkpoint.state", "registry.catalog", "weights.load", "cli.run", "cli.list"):
        importlib.import_module(f"zoo_core.{name}")

    assert not [name for name in zoo.__all__ if isinstance(getattr(zoo, name), types.ModuleType)]
