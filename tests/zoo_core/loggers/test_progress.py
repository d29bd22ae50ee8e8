"""The progress line: what a person reads while it trains."""

import io
import json

import pytest
import tiny
from rich.console import Console

from zoo_core.loggers.progress import Progress, numbers


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What a run says to a pipe, and the lines of its metrics file."""
    stream = io.StringIO()
    run = tiny.train(tmp_path_factory.mktemp("said") / "run", callbacks=(Progress(Console(file=stream)),))
    return stream.getvalue(), [json.loads(line) for line in run.folder.metrics.read_text().splitlines()]


def test_a_figure_with_a_slash_in_its_name_is_kept_and_not_printed(said):
    printed, lines = said
    (evaluation,) = [line for line in lines if "evaluation" in line]
    assert evaluation["error/points"] == 12
    assert f"step 30 evaluation  error {evaluation['error']:.4g}\n" in printed
    assert "error/points" not in printed


def test_the_last_line_of_metrics_is_printed(said):
    printed, lines = said
    last = [line for line in lines if "loss" in line][-1]
    assert "step 30/30  epoch 5.00  " in printed
    assert f"loss {last['loss']:.4g}" in printed


def test_numbers_are_short_and_in_their_order():
    assert numbers({"b": 0.123456, "a": 2.0, "a/0": 1.0}) == "b 0.1235  a 2"
