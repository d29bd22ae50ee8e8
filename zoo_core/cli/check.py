"""``zoo check``"""

from __future__ import annotations

import json
from typing import Any

import click

from zoo_core.cli import common_options
from zoo_core.training.signals import exits_on_interrupt

_COLOURS = {"passed": "green", "failed": "red", "skipped": "yellow"}


@click.command("check")
@click.argument("name", metavar="PLUGIN|NAME")
@click.argument("overrides", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--only", help="Only checks with this in their name.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@common_options
def command(name: str, overrides: tuple[str, ...], only: str | None, as_json: bool) -> int:
    """Whether a plugin and all it brings keep what zoo promises; or one model, data set or recipe.

    Every recipe is tried for a few steps on the CPU, with the settings given behind NAME. Ends with exit code 1 if a
    check fails.

    \b
    zoo check my-plugin run.batch_size=8
    """
    rows: list[dict[str, Any]] = []
    with exits_on_interrupt():
        from zoo_core.testing import cases

        for case in cases(name, overrides):
            if only and only not in case.check.name:
                continue
            outcome = case.run()
            subject = f"{case.subject.kind} {case.subject.name}"
            row = {"subject": subject, "check": case.check.name, "state": outcome.state, "why": outcome.why}
            rows.append({**row, "guards": case.check.guards, "hint": case.check.hint, "seconds": outcome.seconds})
            if not as_json:
                _say(rows[-1])
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    failed = sum(row["state"] == "failed" for row in rows)
    if not as_json:
        counts = {state: sum(row["state"] == state for row in rows) for state in _COLOURS}
        click.echo(", ".join(f"{count} {state}" for state, count in counts.items() if count))
    return 1 if failed else 0


def _say(row: dict[str, Any]) -> None:
    state = click.style(row["state"].ljust(7), fg=_COLOURS[row["state"]])
    why = f": {row['why']}" if row["why"] else ""
    click.echo(f"{state}  {row['subject']}  {row['check']}{why}")
    if row["state"] == "failed":
        click.echo(f"         guards: {row['guards']}\n         hint: {row['hint']}")
