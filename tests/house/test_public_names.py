"""`import zoo_core as zoo`: every public name stays what it is, whatever is imported later."""

from __future__ import annotations

import importlib
import pkgutil
import types

import zoo_core as zoo


def test_no_public_name_is_shadowed_by_a_module_of_its_name() -> None:
    modules = [module.name for module in pkgutil.iter_modules(zoo.__path__)]

    assert not set(modules) & set(zoo.__all__)


def test_public_names_are_no_modules_after_everything_was_imported() -> None:
    for name in ("runner", "run_state", "catalog", "weights.store", "cli.run", "cli.list"):
        importlib.import_module(f"zoo_core.{name}")

    assert not [name for name in zoo.__all__ if isinstance(getattr(zoo, name), types.ModuleType)]
