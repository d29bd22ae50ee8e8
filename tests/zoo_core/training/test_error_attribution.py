"""Whatever the code of a plugin raises ends a run with two lines that name the component, the file and the line."""

import asyncio
import os
import re
import subprocess
import sys

import pytest
import tiny

import zoo_core as zoo
from zoo_core.engine import shutdown
from zoo_core.errors import BadSetting
from zoo_core.training.error_attribution import attributing_errors, defined_at, is_from_outside
from zoo_core.training.signals import Interrupted


class Panic(BaseException):
    """As a library written in Rust raises."""


RAISED = [SystemExit(0), SystemExit(), SystemExit("bad"), GeneratorExit(), asyncio.CancelledError(), Panic("mine")]


def raising(error):
    def method(*_):
        raise error

    return method


@pytest.mark.parametrize("error", RAISED, ids=repr)
@pytest.mark.parametrize("method", ["step", "evaluate", "finalize", "after_step"])
def test_a_run_fails_whatever_its_trainer_raises(tmp_path, monkeypatch, error, method):
    monkeypatch.setattr(tiny.LineTrainer, method, raising(error))
    with pytest.raises(zoo.RunFailed) as failed:
        tiny.train(tmp_path / "run", "run.steps=2")
    message, hint = str(failed.value).splitlines()
    line = raising.__code__.co_firstlineno + 2
    assert message.startswith(type(error).__name__)
    assert f"(training/test_error_attribution.py, line {line})" in message or "after step" in message
    assert str(tmp_path / "run") in hint
    assert ("raise an error instead" in hint) is isinstance(error, SystemExit)
    assert f'"failed: {type(error).__name__}' in (tmp_path / "run" / "sessions.json").read_text()


def test_the_component_and_the_line_are_named(tmp_path, monkeypatch):
    class Exiting(tiny.LineTrainer):
        def step(self, batch):
            raise SystemExit(0)

    monkeypatch.setattr(tiny, "LineTrainer", Exiting)
    line = Exiting.step.__code__.co_firstlineno + 1
    with pytest.raises(
        zoo.RunFailed, match=rf"^the trainer 'line' raised SystemExit: 0 \(training/.*py, line {line}\)"
    ):
        tiny.train(tmp_path / "run", "run.steps=2")


@pytest.mark.parametrize("method", ["setup", "order"])
def test_an_exit_before_the_first_step_leaves_no_folder(tmp_path, monkeypatch, method):
    class Exiting(tiny.LineTrainer):
        pass

    setattr(Exiting, method, raising(SystemExit(0)))
    monkeypatch.setattr(tiny, "LineTrainer", Exiting)
    with pytest.raises(zoo.RunFailed, match="SystemExit: 0"):
        tiny.train(tmp_path / "run", "run.steps=2")
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_a_preview_that_exits_ends_the_previews_only(tmp_path, monkeypatch):
    monkeypatch.setattr(tiny.LineTrainer, "preview", raising(SystemExit(0)))
    with pytest.warns(UserWarning, match=r"no more previews .*_attribution\.py, line \d+\) raised SystemExit"):
        run = tiny.train(tmp_path / "run", "run.steps=4", "run.preview_every=2")
    assert run.step == 4


@pytest.mark.parametrize("method", ["setup", "step", "evaluate", "preview", "after_step"])
def test_a_method_with_other_parameters_is_named_with_its_file_and_line(tmp_path, monkeypatch, method):
    def wrong(self, *, batches):
        pass

    monkeypatch.setattr(tiny.LineTrainer, method, wrong)
    with pytest.raises(zoo.RunFailed) if method != "preview" else pytest.warns(UserWarning, match="preview") as caught:
        tiny.train(tmp_path / "run", "run.steps=2", "run.preview_every=1")
    text = str(caught.value if method != "preview" else next(iter(caught)).message)
    assert wrong.__qualname__ in text
    assert f"(training/test_error_attribution.py, line {wrong.__code__.co_firstlineno})" in text
    assert method == "preview" or text.startswith("the trainer 'line' raised TypeError: ")


@pytest.mark.parametrize("method", ["step", "evaluate"])
def test_what_is_returned_by_mistake_is_named_with_the_file_and_the_line(tmp_path, monkeypatch, method):
    monkeypatch.setattr(tiny.LineTrainer, method, lambda *_: None)
    line = getattr(tiny.LineTrainer, method).__code__.co_firstlineno
    place = rf"\(training/test_error_attribution\.py, line {line}\)"
    with pytest.raises(zoo.RunFailed, match=rf"^{method} of the trainer 'line' {place} returns None, but should"):
        tiny.train(tmp_path / "run", "run.steps=2")


def test_an_interruption_is_no_error_of_a_plugin(monkeypatch):
    assert is_from_outside(KeyboardInterrupt())
    assert is_from_outside(Interrupted())
    assert not is_from_outside(SystemExit(0))
    with pytest.raises(KeyboardInterrupt), attributing_errors({"the model 'line'": tiny.Line}):
        raise KeyboardInterrupt
    monkeypatch.setattr(shutdown._shutdown, "installed", True)  # in a command no signal raises it
    assert not is_from_outside(KeyboardInterrupt())
    monkeypatch.setattr(shutdown._shutdown, "received", "SIGINT")
    assert is_from_outside(KeyboardInterrupt())


def test_what_is_not_written_in_python_has_no_place():
    assert defined_at(len) == defined_at(None) == ""
    assert re.fullmatch(r" \(training/test_error_attribution\.py, line \d+\)", defined_at(raising))


@pytest.mark.parametrize("given", [3, None, "", ["loss"], ValueError("loss")])
@pytest.mark.parametrize("method", ["stop", "finish"])
def test_a_reason_that_is_no_text_is_refused(tmp_path, given, method):
    class Stopping:
        @zoo.hookimpl
        def zoo_step_finished(self, run, step):
            getattr(run, method)(given)

    expected = (
        rf"the plugin 'Stopping' is disabled .* raised BadSetting: run\.{method} is given .*, but should be given a "
        r"reason as text.*\(training/test_error_attribution\.py, line \d+\)"
    )
    with pytest.warns(UserWarning, match=expected):
        run = tiny.train(tmp_path / "run", "run.steps=3", callbacks=(Stopping(),))
    assert (run.step, run.stopping, run.finishing) == (3, "", "")


def test_a_reason_is_one_line(tmp_path):
    run = tiny.train(tmp_path / "run", "run.steps=3")
    run.stop("the loss\nis\x1b[31m low")
    assert run.stopping == r"the loss is\x1b[31m low"
    with pytest.raises(BadSetting):
        run.finish(0)


EXITING = """
import sys
import zoo_core as zoo

if __name__ == "exiting_parts":
    sys.exit(0)

@zoo.hookimpl
def zoo_register(registry):
    registry.model("exiting", "exiting_parts:Net", summary="exits")

@zoo.hookimpl
def zoo_commands(cli):
    cli.command("leave")(lambda: sys.exit(0))
"""


def test_a_command_of_zoo_does_not_end_with_the_exit_code_of_a_plugin(tmp_path):
    for name in ("exiting.py", "exiting_parts.py"):
        (tmp_path / name).write_text(EXITING)

    def zoo_command(*words):
        given = [sys.executable, "-m", "zoo_core", "--plugin", "exiting.py", *words]
        return subprocess.run(given, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False)

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    ended = zoo_command("info", "exiting")
    assert ended.returncode in (1, 2), ended
    assert "SystemExit: 0" in ended.stderr
    assert len(ended.stderr.splitlines()) == 2
    assert zoo_command("leave").returncode == 0
