"""sessions.json after damage: it is kept, and the sessions of the run are recorded again."""

import json
import os

import pytest
import tiny

import zoo_core as zoo
from zoo_core.engine import shutdown
from zoo_core.runs.sessions import read_sessions


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'[{"began": 1}]', b"[5]", "folder", "pipe", "loop"]
)
def test_a_damaged_file_is_set_aside_and_a_new_one_started(tmp_path, content):
    tiny.train(tmp_path / "run", callbacks=(tiny.Watcher(stop_at=20),))
    path = tmp_path / "run" / "sessions.json"
    path.unlink()
    if content == "folder":
        path.mkdir()
    elif content == "pipe":
        os.mkfifo(path)
    elif content == "loop":
        path.symlink_to(path)
    else:
        path.write_bytes(content)
    with pytest.warns(
        UserWarning, match=r"It is kept as sessions\.json\.damaged, and a new file is started\."
    ) as caught:
        tiny.resume(tmp_path / "run")
    assert len(caught) == 1
    assert os.path.lexists(path.with_name("sessions.json.damaged"))
    (session,) = read_sessions(path)
    assert (session.from_step, session.step, session.ended) == (20, 30, "done")


def test_numbers_beyond_every_range_are_damage(tmp_path):
    tiny.train(tmp_path / "run", callbacks=(tiny.Watcher(stop_at=20),))
    path = tmp_path / "run" / "sessions.json"
    (entry,) = json.loads(path.read_text())
    for value in ("1e999", "9" * 5000, "NaN", "Infinity", "null", '"many"'):
        path.write_text(json.dumps([{**entry, "step": "VALUE"}]).replace('"VALUE"', value))
        with pytest.warns(UserWarning, match=r"sessions\.json can't be read"):
            tiny.resume(tmp_path / "run")


@pytest.mark.parametrize(("error", "ended"), [(SystemExit(0), "failed: SystemExit: 0"), (KeyboardInterrupt(), "")])
def test_how_a_run_ended_names_the_error_of_a_plugin(tmp_path, monkeypatch, error, ended):
    def step(*_):
        raise error

    monkeypatch.setattr(tiny.LineTrainer, "step", step)
    monkeypatch.setattr(shutdown._shutdown, "installed", True)  # in a command no signal raises KeyboardInterrupt
    with pytest.raises(zoo.RunFailed):
        tiny.train(tmp_path / "run", "run.steps=2")
    (session,) = read_sessions(tmp_path / "run" / "sessions.json")
    assert session.ended == (ended or "failed: KeyboardInterrupt")
