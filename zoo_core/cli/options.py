"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click

DEVICE_HELP = "cpu, cuda, cuda:1, mps or xpu; by default an accelerator, if available."

device_option = click.option("--device", help=DEVICE_HELP)
registry_option = click.option(
    "--registry", multiple=True, type=click.Path(path_type=Path), help="An additional registry.yaml; may be repeated."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
