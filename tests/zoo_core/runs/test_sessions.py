"""The sessions of a run, and its state."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from zoo_core.errors import BadFile
from zoo_core.runs.sessions import Session, State, read_sessions, record_end, state_of, write_sessions

BEGAN = datetime(2026, 11, 24, 2, 15, 33, tzinfo=UTC)


def session(ended: str) -> Session:
    return Session(BEGAN, from_step=0, steps=30, step=12, seconds=1.5, peak_memory=1000, ended=ended)


def test_written_sessions_are_read_back(tmp_path):
    sessions = [session("stopped: by SIGINT"), session("done")]
    path = tmp_path / "sessions.json"
    assert read_sessions(path) == []
    write_sessions(path, sessions)
    assert read_sessions(path) == sessions


def test_the_end_of_a_running_session_is_recorded_with_the_step(tmp_path):
    path = tmp_path / "sessions.json"
    write_sessions(path, [session("done"), session("running")])
    record_end(path, 17, "stopped: by SIGTERM")
    first, last = read_sessions(path)
    assert first == session("done")
    assert (last.step, last.ended, last.began) == (17, "stopped: by SIGTERM", BEGAN)


@pytest.mark.parametrize("text", ["[", json.dumps([session("done").as_entry()])])
def test_the_end_is_not_recorded_where_no_session_is_running(tmp_path, text):
    path = tmp_path / "sessions.json"
    record_end(path, 17, "stopped: by SIGTERM")
    assert not path.exists()
    path.write_text(text)
    record_end(path, 17, "stopped: by SIGTERM")
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "Expecting property name"),
        ("[]", "it is empty"),
        ("5", "not iterable"),
        ("[{}]", "ended"),
        (json.dumps([session("eaten").as_entry()]), "a session cannot end with 'eaten'"),
    ],
)
def test_a_damaged_file_is_refused_with_the_reason(tmp_path, text, reason):
    path = tmp_path / "sessions.json"
    path.write_text(text)
    with pytest.raises(BadFile, match=f"sessions.json can't be read: .*{reason}"):
        read_sessions(path)


@pytest.mark.parametrize(
    ("ended", "active", "state"),
    [
        ("done", False, State("done")),
        ("stopped: by SIGINT", False, State("stopped", "by SIGINT")),
        ("failed: no space: left", False, State("failed", "no space: left")),
        ("running", False, State("killed", "its process ended without recording why")),
        ("running", True, State("running")),
        ("done", True, State("running")),
    ],
)
def test_the_state_follows_from_the_last_session_and_the_lock(ended, active, state):
    assert state_of([session("done"), session(ended)], active) == state


def test_without_sessions_the_state_is_unknown():
    assert state_of([], active=False) == State("unknown", "sessions.json is missing or damaged")
