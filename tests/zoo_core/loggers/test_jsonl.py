"""metrics.jsonl after damage and interruptions: good lines are kept, the rest is said, and logging goes on."""

import json
import os
import warnings

import pytest
import tiny

import zoo_core as zoo


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The lines of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    tiny.train(folder)
    return (folder / "metrics.jsonl").read_bytes().splitlines(keepends=True)


@pytest.fixture
def stopped(tmp_path):
    """The metrics file of a run that was stopped after 20 of 30 steps."""
    tiny.train(tmp_path / "run", callbacks=(tiny.Watcher(stop_at=20),))
    return tmp_path / "run" / "metrics.jsonl"


def resume(path):
    """Resume the run to the end; returns what it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tiny.resume(path.parent)
    return [str(one.message) for one in caught]


def assert_valid(content):
    for line in content.splitlines():
        json.loads(line, parse_constant=pytest.fail)


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff\xfe", b"{", b"", b"[1]", b'{"loss": 0.1}', b'{"step": null}', b'{"step": 10, "loss": NaN}', b"\0" * 50,
        b'{"step": 10, "step": 11}', b'{"step": 10, "loss": 1e999}', b"[" * 100_000, b'{"step": ' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
def test_a_damaged_line_is_left_out_and_the_file_is_kept(whole, stopped, damage):
    lines = stopped.read_bytes().splitlines(keepends=True)
    lines[1] = damage + b"\n"
    stopped.write_bytes(b"".join(lines))
    (message,) = resume(stopped)
    assert message == f"{stopped} had 1 damaged line; the file is kept as metrics.jsonl.damaged."
    assert stopped.with_name("metrics.jsonl.damaged").read_bytes() == b"".join(lines)
    assert stopped.read_bytes().splitlines(keepends=True) == [whole[0], *whole[2:]]
    assert_valid(stopped.read_bytes())


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_what_an_editor_adds_is_left_out_and_no_line_is_lost(whole, stopped, ends):
    stopped.write_bytes(b"\xef\xbb\xbf" + stopped.read_bytes().replace(b"\n", ends))
    assert resume(stopped) == []
    assert stopped.read_bytes() == b"".join(whole)


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 0, 1, 2, 3], [0, 1, 1, 2, 3, 2, 3, 3], [0, 1, 2, 3, 0, 0, 0, 0]])
def test_lines_that_another_program_has_written_once_more_are_left_out(whole, stopped, order):
    stopped.write_bytes(b"".join(whole[number] for number in order))
    (message,) = resume(stopped)
    assert message == f"{stopped} had 4 repeated lines; the file is kept as metrics.jsonl.damaged."
    assert stopped.read_bytes() == b"".join(whole)


def test_damaged_and_repeated_lines_are_counted_by_themselves(whole, stopped):
    stopped.write_bytes(b"{\n" + b"".join(whole[:4]) + whole[3])
    (message,) = resume(stopped)
    assert message == f"{stopped} had 1 damaged line and 1 repeated line; the file is kept as metrics.jsonl.damaged."


class AlwaysHalf(tiny.LineTrainer):
    def evaluate(self, batches, train_batches):
        return {"error": 0.5}


def test_equal_evaluations_of_a_former_last_step_are_both_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(tiny, "LineTrainer", AlwaysHalf)
    monitored = ("run.monitor=-error", "run.evaluate_every=10")  # without a validation split both are on the test split
    tiny.train(tmp_path / "run", *monitored)
    path = tmp_path / "run" / "metrics.jsonl"
    *_, validation, test = lines = path.read_bytes().splitlines(keepends=True)
    assert validation == test
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tiny.resume(path.parent, words=("run.steps=40",))
    assert path.read_bytes().splitlines(keepends=True)[: len(lines)] == lines
    assert not list(path.parent.glob("*.damaged"))


def test_a_second_damaged_file_is_kept_beside_the_first(stopped):
    for number in range(2):
        stopped.write_bytes(b"{\n[\n" + stopped.read_bytes())
        (message,) = resume(stopped)
        assert "2 damaged lines" in message
        assert stopped.with_name("metrics.jsonl.damaged" + ("-2" if number else "")).exists()


@pytest.mark.parametrize("rest", [b"{", b'{"step": 25', b'{"step": 25, "epo'])
def test_a_line_that_a_kill_cut_short_is_written_again_and_nothing_is_said(whole, stopped, rest):
    stopped.write_bytes(b"".join(whole[:4]) + rest)
    assert resume(stopped) == []
    assert stopped.read_bytes() == b"".join(whole)


def test_a_last_line_without_its_end_is_kept_or_said_to_be_damaged(whole, stopped):
    stopped.write_bytes(b"".join(whole[:4])[:-1])
    assert resume(stopped) == []
    assert stopped.read_bytes() == b"".join(whole)
    stopped.write_bytes(b"".join(whole[:4])[:-9])  # of step 20, which the resumed run does not repeat
    (message,) = resume(stopped)
    assert "1 damaged line" in message


@pytest.mark.parametrize("kind", ["folder", "pipe", "loop", "dangling link"])
def test_what_is_not_a_file_is_set_aside_and_logging_goes_on(whole, stopped, kind):
    stopped.unlink()
    {
        "folder": stopped.mkdir,
        "pipe": lambda: os.mkfifo(stopped),
        "loop": lambda: stopped.symlink_to(stopped),
        "dangling link": lambda: stopped.symlink_to("nowhere"),
    }[kind]()
    (message,) = resume(stopped)
    assert message.endswith("It is kept as metrics.jsonl.damaged, and a new file is started.")
    assert os.path.lexists(stopped.with_name("metrics.jsonl.damaged"))
    assert stopped.read_bytes().splitlines(keepends=True) == whole[4:]


def test_a_missing_file_is_started_again(whole, stopped):
    stopped.unlink()
    assert resume(stopped) == []
    assert stopped.read_bytes().splitlines(keepends=True) == whole[4:]


def test_a_file_that_is_deleted_during_the_run_is_started_again(whole, tmp_path):
    class Delete:
        @zoo.hookimpl
        def zoo_step_finished(self, run, step):
            if step == 12:
                run.folder.metrics.unlink()

    tiny.train(tmp_path / "run", callbacks=(Delete(),))
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes().splitlines(keepends=True) == whole[2:]


class NotFinite(tiny.LineTrainer):
    def evaluate(self, batches, train_batches):
        return {"error": float("nan"), "score": float("-inf"), "size": 3}


class Plugin:
    @zoo.hookimpl
    def zoo_register(self, registry):
        registry.trainer("not-finite", f"{__name__}:NotFinite", summary="Evaluates to NaN")


@pytest.mark.parametrize("text", [b"a note", b"{", b"\n\nx", b"a note\n", b"\xff"])
def test_text_that_another_program_appends_spoils_no_line_of_the_run(whole, tmp_path, text):
    class Append:
        @zoo.hookimpl
        def zoo_step_finished(self, run, step):
            if step in (7, 17):
                with run.folder.metrics.open("ab") as file:
                    file.write(text)

    tiny.train(tmp_path / "run", callbacks=(Append(),))
    lines = (tmp_path / "run" / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    foreign = {*text.splitlines(keepends=True), text.splitlines()[-1] + b"\n"}
    assert [line for line in lines if line not in foreign] == whole


def test_text_that_another_program_has_appended_to_a_stopped_run_spoils_no_line(whole, stopped):
    with stopped.open("ab") as file:
        file.write(b"a note")
    resume(stopped)
    assert stopped.read_bytes().splitlines(keepends=True) == whole


def test_metrics_that_are_not_finite_are_null(tmp_path, monkeypatch):
    monkeypatch.setattr(tiny, "LineTrainer", NotFinite)
    with pytest.warns(UserWarning, match="error is nan, score is -inf"):
        tiny.train(tmp_path / "run")
    content = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    assert_valid(content)
    last = json.loads(content.splitlines()[-1])
    assert last == {"step": 30, "evaluation": True, "error": None, "score": None, "size": 3}
