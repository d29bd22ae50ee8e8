"""Durations on the command line."""

from __future__ import annotations

import click
import pytest

from zoo_core.cli.durations import Duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("55m", 3300), ("1h30m", 5400), ("2d", 172800), ("1h5s", 3605)]
)
def test_durations_are_converted_to_seconds(text, seconds):
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "55", "m", "1.5h", "30m1h", "-5m", "0s"])
def test_an_invalid_duration_is_refused_with_examples(text):
    with pytest.raises(click.BadParameter, match="55m or 1h30m"):
        Duration().convert(text, None, None)
