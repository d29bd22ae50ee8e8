"""Names as arguments, with shell completion."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem


class WeightsName(click.ParamType[str]):
    """A name of published weights; the shell completes it."""

    name = "weights"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from zoo_core.registry import catalog

        here = catalog.default()
        here.recipes.leave_out_damaged()
        return [CompletionItem(name) for name in here.weights.names() if name.startswith(incomplete)]


class RecipeName(click.ParamType[str]):
    """A recipe's name; the shell completes it (see docs/recipes.md)."""

    name = "recipe"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from zoo_core.registry import catalog

        here = catalog.default()
        here.recipes.leave_out_damaged()
        rows = here.rows("recipes")
        return [CompletionItem(row["name"], help=row["summary"]) for row in rows if row["name"].startswith(incomplete)]
