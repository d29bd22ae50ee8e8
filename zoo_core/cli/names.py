"""Types of arguments that are names, with shell completion."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from zoo_core.errors import printable


class WeightsName(click.ParamType[str]):
    """The name of published weights, with shell completion."""

    name = "weights"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from zoo_core.registry import catalog

        installed = catalog.default()
        installed.recipes.skip_damaged_files()
        return [CompletionItem(printable(name)) for name in installed.weights.names() if name.startswith(incomplete)]


class RecipeName(click.ParamType[str]):
    """The name of a recipe, with shell completion (see docs/recipes.md)."""

    name = "recipe"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from zoo_core.registry import catalog

        installed = catalog.default()
        installed.recipes.skip_damaged_files()
        rows = installed.rows("recipes")
        return [
            CompletionItem(printable(row["name"]), help=printable(row["summary"]))
            for row in rows
            if row["name"].startswith(incomplete)
        ]
