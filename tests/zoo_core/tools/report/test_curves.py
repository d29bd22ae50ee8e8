"""A file of metrics is read in large parts, with the same result as line by line."""

import json
import math
import random
import tracemalloc

import pytest

from zoo_core.tools.report import curves
from zoo_core.tools.report.curves import downsampled, read_curves

WHOLE = [f'{{"step": {step}, "epoch": {step / 8}, "loss": {1 / step}, "count": {step}}}' for step in range(1, 30)]
DAMAGED = [
    "",
    "{}",
    "[]",
    "null",
    '{"step": 3',
    '{"step": 3, "loss": 1.0}}',
    '{"step": 3, "loss": 1.0}, {"step": 4, "loss": 1.0}',
    '{"step": 3, "loss": {"loss": 1.0}}',
    '{"step": 3, "loss": [1.0]}',
    '{"step": 3, "loss": "1.0"}',
    '{"step": 3, "loss": 1.0, "loss": 2.0}',
    '{"step": 3, "step": 4, "loss": 2.0}',
    '{"step": -3, "loss": 1.0}',
    '{"step": 3.0, "loss": 1.0}',
    '{"step": true, "loss": 1.0}',
    '{"step": 99999999999999999999, "loss": 1.0}',
    '{"step": 3, "loss": 99999999999999999999}',
    '{"step": 3, "loss": ' + "9" * 5000 + "}",
    '{"step": 3, "loss": 1e999}',
    '{"step": 3, "epoch": 1e999, "loss": 1.0}',
    '{"step": 3, "epoch": "x", "loss": 1.0}',
    '{"step": 3, "loss": NaN}',
    '{"loss": 1.0}',
    "[" * 3000,
    '{"step": 3, "a}b{": 1.0, "loss": 0.5}',
    '{"step": 3, "a\\": ": 1.0, "loss": 0.5}',
    '{"step": 3, "evaluation": true, "loss": 0.5}',
    '{"step": 3, "evaluation": false, "loss": 0.5}',
    '{"step": 3, "evaluation": 1, "loss": null}',
    '{"step": 3, "loss": null}',
    '{"step": 3, "loss": true}',
    '{"step": 3}',
    ' {"step": 3, "loss": 0.5} ',
    '{"step": 3, "loss": 0.5}\r',
    '{"loss": 0.5, "step": 3}',
]


def read(path):
    notes: list[str] = []
    return read_curves(path, notes), notes


def line_by_line(path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(curves, "_parsed", lambda chunk: None)
        return read(path)


@pytest.mark.parametrize("odd", DAMAGED)
def test_an_odd_line_is_read_as_by_itself(tmp_path, monkeypatch, odd):
    path = tmp_path / "metrics.jsonl"
    for lines in ([*WHOLE[:9], odd, *WHOLE[9:]], [odd, *WHOLE], [*WHOLE, odd], [odd]):
        path.write_text("\n".join(lines))
        assert read(path) == line_by_line(path, monkeypatch)


@pytest.mark.parametrize("size", [1, 100, 1000, 2**19])
def test_the_size_of_the_parts_changes_nothing(tmp_path, monkeypatch, size):
    lines = [*WHOLE, *DAMAGED] * 5
    random.Random(0).shuffle(lines)  # noqa: S311  # no secret
    path = tmp_path / "metrics.jsonl"
    path.write_text("\n".join(lines) + "\n")
    expected = line_by_line(path, monkeypatch)
    monkeypatch.setattr(curves, "_CHUNK", size)
    assert read(path) == expected


def test_a_step_that_is_logged_again_counts_once_with_its_last_value(tmp_path):
    path = tmp_path / "metrics.jsonl"
    steps = [1, 2, 3, 4, 2, 3, 4, 5]
    path.write_text("".join(f'{{"step": {step}, "loss": {number}}}\n' for number, step in enumerate(steps)))
    ((curve,), notes) = read(path)
    assert (curve.steps, curve.values, curve.last, notes) == ([1, 2, 3, 4, 5], [0, 4, 5, 6, 7], 7, [])
    assert isinstance(curve.last, int)


def test_a_long_file_needs_little_memory(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with path.open("w") as file:
        for step in range(100_000):
            file.write(json.dumps({"step": step, "epoch": step / 100, "loss": 1 / (step + 1), "accuracy": 0.5}) + "\n")
    tracemalloc.start()
    read_curves(path, [])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 15 * 2**20  # of dictionaries, it would be 60


def test_downsampling_keeps_ends_extremes_and_gaps():
    import numpy as np

    values = np.zeros(10_000)
    values[[5000, 7001, 7002]] = math.nan, 5.0, -5.0
    kept = downsampled(values)
    assert {0, 5000, 7001, 7002, 9999} <= set(kept.tolist())
    assert len(kept) <= curves.MAX_POINTS
    assert downsampled(np.full(9000, math.nan)).size
