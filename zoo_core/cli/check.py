"""``zoo check``"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.options import json_option, registry_option
from zoo_core.errors import BadSetting, printable
from zoo_core.terminal import say, say_labelled, say_text

_COLORS = {"passed": "green", "failed": "red", "skipped": "yellow"}


@click.command("check")
@click.argument("name", metavar="PLUGIN|NAME")
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--only", help="Run only the checks with this text in their name.")
@registry_option
@json_option
@common_options
def command(name: str, overrides: tuple[str, ...], only: str | None, registry: tuple[Path, ...], as_json: bool) -> int:
    """Run the conformance checks on a plugin and all that it registers, or on one model, dataset or recipe.

    Every recipe is trained for a few steps on the CPU, with the given settings. A model or a dataset has the given
    settings, and those of a recipe where the defaults are not enough. The exit code is 1 if a check fails, and 2 if all
    are skipped.

    \b
    zoo check my-plugin run.batch_size=8
    zoo check mask-folder folder=data/cells
    """
    rows: list[dict[str, Any]] = []
    from zoo_core.testing import cases

    for case in cases(name, overrides, open_catalog(registry)):
        if only and only not in case.check.name:
            continue
        outcome = case.run()
        subject = f"{case.subject.kind} {case.subject.name}"
        row = {"subject": subject, "check": case.check.name, "state": outcome.state, "why": outcome.why}
        rows.append({**row, "guards": case.check.guards, "hint": case.check.hint, "seconds": outcome.seconds})
        if not as_json:
            _print(rows[-1])
    if as_json:
        say_text(json.dumps(rows, indent=2))
    if not rows:
        raise BadSetting(f"--only is '{only}', but no check of '{name}' is called so.", "Leave it out to see them all.")
    failed = sum(row["state"] == "failed" for row in rows)
    if not as_json:
        counts = {state: sum(row["state"] == state for row in rows) for state in _COLORS}
        say(", ".join(f"{count} {state}" for state, count in counts.items() if count))
    if all(row["state"] == "skipped" for row in rows):
        raise BadSetting(
            f"nothing of '{name}' was checked: every check was skipped.",
            "Give other settings; the lines above say what is missing."
            if overrides
            else f"Give the settings that it needs, for example: zoo check {name} folder=DIR",
        )
    return 1 if failed else 0


def _print(row: dict[str, Any]) -> None:
    why = f": {row['why']}" if row["why"] else ""
    state = row["state"]
    line = printable(f"{row['subject']}  {row['check']}{why}")
    say_labelled(state.ljust(7), _COLORS[state], f" {line}")
    if row["state"] == "failed":
        say(f"         guards: {row['guards']}", f"         hint: {row['hint']}")
