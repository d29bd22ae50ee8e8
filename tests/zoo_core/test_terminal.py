"""Text for people reaches a terminal without the control characters of others."""

from __future__ import annotations

import io
import logging
import sys
import threading

import pytest
from rich.table import Table

from zoo_core import terminal
from zoo_core.config.yaml_reader import as_text, read_text
from zoo_core.fingerprint.progress import ProgressLine

CONTROLS = [
    "\x1b[31m", "\x1b]0;title\x07", "\x1b[2J", "\x1bP0;1|17/ab", "\x9b31m", "\x9d0;title\x9c", "\x00", "\x08", "\r",
    "\x0b", "\x0c", "\x7f", "\x85", "\u2028", "\u2029", "\u200e", "\u200f", "\u061c", "\u202a", "\u202e", "\u2066",
    "\u2069", "\ufeff", "\ud800", "\U000e0041",
]  # fmt: skip
EVIL = "e\x1b]0;P\x07\x1b[31mR\x1b[2J\u202e\x9b31m[/x]:smile:\nL\u2028\r"
HARMLESS = "Köln 日本語 می‌خواهم 👩‍🔬 a\u00a0b\u3000c"


@pytest.mark.parametrize("control", CONTROLS, ids=ascii)
@pytest.mark.parametrize("err", [False, True])
def test_control_characters_are_escaped(control: str, err: bool, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say(f"before{control}after", err=err)
    terminal.say_text(f"before{control}after\n", err=err)
    terminal.say_labelled("label", "red", f"before{control}after", err=err)
    expected = f"before{control.encode('unicode_escape').decode()}after"
    assert capsys.readouterr()[err] == f"{expected}\n{expected}\nlabel {expected}\n"


@pytest.mark.parametrize("print_it", [terminal.say, terminal.say_text])
def test_names_in_any_language_are_printed_as_they_are(print_it, capsys: pytest.CaptureFixture[str]) -> None:
    print_it(HARMLESS)
    assert capsys.readouterr().out == f"{HARMLESS}\n"


def test_a_line_stays_one_and_a_text_keeps_its_lines_and_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.say("a\nb\tc", "d")
    terminal.say_text("a\n\tb\x1b\n")
    terminal.say()
    assert capsys.readouterr().out == "a\\nb\\tc\nd\na\n\tb\\x1b\n\n"


@pytest.mark.parametrize("text", [*CONTROLS, EVIL, HARMLESS, "- a: b", ""], ids=ascii)
def test_printed_yaml_has_the_same_values(text: str) -> None:
    text = text.encode("utf-8", "ignore").decode()  # YAML has no halves of characters
    values = {"name": text, f"k{text}": [text]}
    assert read_text(terminal.printable_text(as_text(values))) == values


def test_a_label_and_a_progress_line_keep_their_own_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Screen(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Screen())
    terminal.say_labelled("error:", "red", EVIL, err=True)
    terminal.redraw_line("50 %\x1b[2J")
    with ProgressLine(EVIL, 10, "files") as progress:
        progress._next = 0.0
        progress.update(5)
        progress.say(EVIL)
    written = sys.stderr.getvalue()
    assert written.startswith("\x1b[31merror:\x1b[0m e\\x1b]0;P")
    assert "\r50 %\\x1b[2J\x1b[K" in written
    assert ": 5 of 10 files\x1b[K" in written
    assert "\x1b[31mR" not in written
    assert "\x1b[2J" not in written
    assert "\u2028" not in written


def test_a_console_escapes_what_it_renders_and_reads_no_markup() -> None:
    from rich.live import Live

    console = terminal.console(err=True, width=400)
    console.file = io.StringIO()
    table = Table("name")
    table.add_row(EVIL)
    console.print(EVIL)
    console.print(table)
    with Live(console=console, auto_refresh=False) as live:
        live.update(EVIL, refresh=True)
    written = console.file.getvalue()
    assert "[/x]:smile:" in written
    assert not set(written) & set("\x1b\x07\x9b\u202e\u2028\r")


def test_records_of_libraries_and_errors_of_threads_are_escaped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    before = logging.lastResort.formatter
    try:
        terminal.escape_messages_of_libraries()
        logging.lastResort.handle(logging.makeLogRecord({"msg": EVIL, "levelno": logging.WARNING}))
        thread = threading.Thread(target=int, args=(EVIL,), name=EVIL)
        threading.excepthook(threading.ExceptHookArgs((ValueError, ValueError(EVIL), None, thread)))
    finally:
        logging.lastResort.setFormatter(before)
    err = capsys.readouterr().err
    assert err.count("\\x1b]0;P") == 3
    assert not set(err) & set("\x1b\x07\x9b\u202e\u2028\r")
