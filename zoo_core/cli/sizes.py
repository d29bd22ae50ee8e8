"""Sizes of images on the command line: ``480x560``."""

from __future__ import annotations

import re

import click


class ImageSize(click.ParamType[tuple[int, int]]):
    """Height and width in pixels."""

    name = "HxW"

    def convert(
        self, value: str | tuple[int, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"([1-9]\d*)[x×]([1-9]\d*)", value)  # noqa: RUF001  # the multiplication sign, as in copied text
        if not found:
            self.fail(f"'{value}' should be height x width in pixels, such as 480x560.", param, ctx)
        return int(found[1]), int(found[2])
