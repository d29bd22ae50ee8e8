"""The progress lines of a run."""

import io
import json

import pytest
import tiny
from rich.console import Console

from zoo_core.loggers.progress import Progress, format_metrics


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """The output of a run to a pipe, and the lines of its metrics file."""
    stream = io.StringIO()
    run = tiny.train(tmp_path_factory.mktemp("output") / "run", callbacks=(Progress(Console(file=stream)),))
    return stream.getvalue(), [json.loads(line) for line in run.folder.metrics.read_text().splitlines()]


def test_a_metric_with_a_slash_in_its_name_is_logged_but_not_printed(output):
    text, lines = output
    (evaluation,) = [line for line in lines if "evaluation" in line]
    assert evaluation["error/points"] == 12
    assert f"step 30 evaluation  error {evaluation['error']:.4g}\n" in text
    assert "error/points" not in text


def test_the_last_metrics_are_printed(output):
    text, lines = output
    last = [line for line in lines if "loss" in line][-1]
    assert "step 30/30  epoch 5.00  " in text
    assert f"loss {last['loss']:.4g}" in text


def test_numbers_are_rounded_and_keep_their_order():
    assert format_metrics({"b": 0.123456, "a": 2.0, "a/0": 1.0}) == "b 0.1235  a 2"
