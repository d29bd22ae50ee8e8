"""The line that says how far a preparation has come."""

from __future__ import annotations

import pytest

from zoo_core.fingerprint import progress


def count_to(total, monkeypatch, seconds_each):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with progress.ProgressLine("hashing the data", total, "files") as line:
        for number in range(1, total + 1):
            now[0] += seconds_each
            line.update(number)


def test_nothing_is_printed_within_two_seconds(monkeypatch, capsys):
    count_to(1900, monkeypatch, 0.001)
    assert capsys.readouterr() == ("", "")


def test_a_line_is_printed_after_two_seconds_and_then_every_ten(monkeypatch, capsys):
    count_to(1200, monkeypatch, 0.02)
    assert capsys.readouterr().err.splitlines() == [
        f"hashing the data: {count} of 1,200 files" for count in ("101", "602", "1,103")
    ]


def test_a_terminal_shows_one_line_which_is_removed_at_the_end(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    count_to(300, monkeypatch, 0.01)
    shown = capsys.readouterr().err
    assert "\n" not in shown
    assert "hashing the data: 220 of 300 files" in shown
    assert shown.endswith("\r\x1b[K")


def test_only_the_first_process_of_a_run_prints(monkeypatch, capsys):
    monkeypatch.setenv("RANK", "1")
    count_to(1200, monkeypatch, 0.02)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_passes(error):
    with pytest.raises(error), progress.ProgressLine("hashing", 1, "files"):
        raise error
