"""Durations on the command line: 90s, 55m, 1h30m."""

from __future__ import annotations

import re
from typing import Any

import click

_PARTS = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_SECONDS = (86400, 3600, 60, 1)


class Duration(click.ParamType[float]):
    """Seconds as a float, from ``1h30m``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = _PARTS.fullmatch(value)
        seconds = (
            sum(int(part or 0) * each for part, each in zip(found.groups(), _SECONDS, strict=True)) if found else 0
        )
        if not seconds:
            self.fail(f"'{value}' is not a duration. Write for example 90s, 55m or 1h30m.", param, ctx)
        return float(seconds)
