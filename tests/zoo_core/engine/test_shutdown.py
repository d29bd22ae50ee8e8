"""Signals end a process whatever it is doing: with the exit code of the signal, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

BEGIN = """
import os, signal, subprocess, sys, tempfile, threading, time
from pathlib import Path
from zoo_core.engine import shutdown
from zoo_core.files import replacing

shutdown.end_on_signals()
shutdown.read_stop_seconds()

def ready():
    print("ready", flush=True)

"""


def start(program: str, **variables: str) -> subprocess.Popen[str]:
    """A process that has run ``program`` until it called ready()."""
    inherited = {name: value for name, value in os.environ.items() if name != "ZOO_STOP_SECONDS"}
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN + textwrap.dedent(program)],
        env={**inherited, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()
    return process


def end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> tuple[int, str, float]:
    """Send the signal; the exit code, the output, and the seconds until the end."""
    before = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err, time.monotonic() - before


ASLEEP = "ready(); time.sleep(60)"
WAITING = "ready(); subprocess.run(['sleep', '60'], check=True)"  # as for a compiler
IN_C = "import hashlib; ready(); hashlib.pbkdf2_hmac('sha256', b'a', b'b', 2**31 - 1)"  # no bytecode for minutes


@pytest.mark.parametrize(
    ("name", "code", "line", "work"),
    [
        ("SIGINT", 130, "interrupted", ASLEEP),
        ("SIGTERM", 143, "stopped by SIGTERM", ASLEEP),
        ("SIGHUP", 129, "stopped by SIGHUP", ASLEEP),
        ("SIGTERM", 143, "stopped by SIGTERM", WAITING),
        ("SIGTERM", 143, "stopped by SIGTERM", IN_C),
    ],
)
def test_a_signal_ends_work_that_has_nothing_to_save_at_once(name, code, line, work):
    returned, output, seconds = end(start(work), signal.Signals[name])
    assert (returned, output) == (code, f"{line}\n")
    assert seconds < 4


def test_a_thread_that_keeps_the_command_from_ending_is_named_and_a_signal_ends_it():
    program = """
        threading.Thread(target=time.sleep, args=(60,), name="uploads").start()
        ready()
        shutdown.exit_command(0)
    """
    process = start(program)
    assert process.stderr.readline() == (
        "waiting for what plugins or libraries have left running: 'uploads'. Ctrl-C ends it.\n"
    )
    assert end(process, signal.SIGINT)[:2] == (130, "interrupted\n")


def test_the_end_of_a_short_thread_is_waited_for_without_a_word():
    program = """
        from concurrent.futures import ThreadPoolExecutor
        idle = ThreadPoolExecutor()
        idle.submit(time.sleep, 0).result()
        threading.Thread(target=lambda: (time.sleep(0.5), print("done"))).start()
        ready()
        shutdown.exit_command(3)
    """
    process = start(program)
    assert process.communicate(timeout=60) == ("done\n", "")
    assert process.returncode == 3


def test_a_module_that_catches_everything_does_not_lose_a_signal():
    program = """
        ready()
        try:
            time.sleep(60)
        except BaseException:
            pass
        print("lost")
    """
    assert end(start(program))[:2] == (143, "stopped by SIGTERM\n")


def test_a_plugin_that_closes_the_descriptors_does_not_lose_a_signal():
    code, said, _ = end(start("os.closerange(3, 64); " + IN_C))
    assert (code, said) == (143, "stopped by SIGTERM\n")


@pytest.mark.parametrize("handler", ["SIG_IGN", "SIG_DFL"])
def test_a_signal_that_a_plugin_ignores_ends_the_command(handler):
    program = f"""
        signal.signal(signal.SIGTERM, signal.{handler})
        shutdown.handle_signals_again()
        ready()
        time.sleep(60)
    """
    assert end(start(program))[:2] == (143, "stopped by SIGTERM\n")


def test_a_handler_of_a_plugin_is_called_and_the_signal_ends_the_command(tmp_path):
    program = f"""
        signal.signal(signal.SIGTERM, lambda *_: Path({str(tmp_path)!r}, "called").touch())
        shutdown.handle_signals_again()
        ready()
        while True:
            time.sleep(0.01)
    """
    assert end(start(program))[0] == 143
    assert (tmp_path / "called").exists()


def test_a_signal_that_was_ignored_from_the_start_stays_so():
    program = """
        shutdown.handle_signals_again()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        ready()
        time.sleep(60)
    """
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        process = start(program)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert end(process)[0] == 143


def test_children_temporary_folders_and_unfinished_files_are_removed(tmp_path):
    program = f"""
        child = subprocess.Popen(["sleep", "60"], start_new_session=True)
        with tempfile.TemporaryDirectory(dir={str(tmp_path)!r}), replacing(Path({str(tmp_path)!r}, "result")) as file:
            file.write_text("half")
            Path({str(tmp_path)!r}, "pid").write_text(str(child.pid))
            ready()
            time.sleep(60)
    """
    assert end(start(program))[0] == 143
    assert [path.name for path in tmp_path.iterdir()] == ["pid"]
    child = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_a_compiler_removes_what_it_has_written_in_part_and_one_that_does_not_end_is_killed(tmp_path):
    # As gcc does; the second one ignores the signal.
    program = f"""
        compiler = "trap 'rm half; exit 1' TERM; touch half begun; while :; do sleep 0.01; done"
        deaf = "trap '' TERM; touch deaf; while :; do sleep 0.01; done"
        for script in (compiler, deaf):
            subprocess.Popen(["sh", "-c", script], cwd={str(tmp_path)!r})
        while not all(Path({str(tmp_path)!r}, name).exists() for name in ("begun", "deaf")):
            time.sleep(0.01)
        ready()
        time.sleep(60)
    """
    process = start(program)
    children = psutil.Process(process.pid).children(recursive=True)
    returned, _, seconds = end(process)
    assert returned == 143
    assert seconds < 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun", "deaf"]
    assert psutil.wait_procs(children, timeout=5)[1] == []


@pytest.mark.parametrize("option", ["-o half.so", "-shared -o sub/../half.so main.o", "-o half.o"])
def test_a_compiled_file_that_a_linker_writes_again_is_removed(tmp_path, option):
    # As ld, which g++ has started: g++ removes the file, and ld creates it again before it ends.
    program = f"""
        linker = "trap '' TERM; while :; do echo part > half.so; echo part > half.o; touch begun; sleep 0.01; done"
        subprocess.Popen(["sh", "-c", linker, "ld", *{option!r}.split()], cwd={str(tmp_path)!r})
        while not Path({str(tmp_path)!r}, "begun").exists():
            time.sleep(0.01)
        ready()
        time.sleep(60)
    """
    (tmp_path / "sub").mkdir()
    assert end(start(program))[0] == 143
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"begun", "sub", "half.so", "half.o"} - {"half.o" if option.endswith("half.o") else "half.so"}


def test_what_was_begun_is_undone(tmp_path):
    program = """
        with shutdown.undone_on_signal(lambda: print("undone", flush=True)):
            ready()
            time.sleep(60)
    """
    assert end(start(program))[:2] == (143, "undone\nstopped by SIGTERM\n")


ASKED = """
    def ask(name):
        asked.append(name)

    asked = []
    with shutdown.working(shutdown.Work(ask, lambda name: f"cut by {name}")):
        ready()
        %s
    print(*set(asked))
    shutdown.exit_command(143)
"""


def test_work_that_ends_after_a_signal_is_not_cut():
    returned, output, seconds = end(start(ASKED % "while not asked: time.sleep(0.01)"))
    assert (returned, output) == (143, "SIGTERM\n")
    assert seconds < 3


def test_work_that_does_not_end_is_cut_within_five_seconds():
    returned, output, seconds = end(start(ASKED % "time.sleep(60)"))
    assert (returned, output) == (143, "cut by SIGTERM\n")
    assert 2.5 < seconds < 5


def test_work_that_has_no_result_yet_gets_less_time():
    work = ASKED.replace('{name}")', '{name}", loses_nothing=lambda: True)')
    returned, output, seconds = end(start(work % "time.sleep(100)", ZOO_STOP_SECONDS="90"))
    assert (returned, output) == (143, "cut by SIGTERM\n")
    assert seconds < 45


def test_the_time_can_be_set_for_work_that_takes_longer():
    returned, output, seconds = end(start(ASKED % "time.sleep(4)", ZOO_STOP_SECONDS="30"))
    assert (returned, output) == (143, "SIGTERM\n")
    assert 3.5 < seconds < 20


def test_a_second_signal_ends_the_work_at_once():
    process = start(ASKED % "time.sleep(60)", ZOO_STOP_SECONDS="60")
    process.send_signal(signal.SIGTERM)
    time.sleep(1)
    returned, output, seconds = end(process)
    assert (returned, output) == (143, "cut by SIGTERM\n")
    assert seconds < 4


def test_a_signal_that_a_launcher_forwards_at_the_same_time_is_not_a_second_one():
    process = start(ASKED % "time.sleep(2)")
    process.send_signal(signal.SIGTERM)
    assert end(process)[:2] == (143, "SIGTERM\n")


def test_nothing_left_to_save_ends_work_that_was_asked_before():
    process = start(ASKED % "time.sleep(1); shutdown.nothing_left_to_save(); print('lost')")
    assert end(process)[:2] == (143, "cut by SIGTERM\n")


def test_where_nothing_is_saved_no_work_is_asked():
    program = "with shutdown.saves_nothing():\n" + textwrap.indent(textwrap.dedent(ASKED % "time.sleep(60)"), "    ")
    returned, output, seconds = end(start(program))
    assert (returned, output) == (143, "stopped by SIGTERM\n")
    assert seconds < 2.5


def test_a_hangup_is_ignored_under_nohup():
    program = "signal.signal(signal.SIGHUP, signal.SIG_IGN); shutdown.end_on_signals(); ready(); time.sleep(60)"
    process = start(program)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    assert end(process)[0] == 143


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_to_a_child_that_has_just_been_forked_ends_only_the_child(name):
    program = """
import os, signal, time

os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), signal.NAME))
from zoo_core.engine import shutdown

shutdown.end_on_signals()
child = os.fork()
if child == 0:
    os._exit(0)
print(os.WTERMSIG(os.waitpid(child, 0)[1]), flush=True)
time.sleep(1)
print(shutdown.received() or "nothing", signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
    number = getattr(signal, name)
    done = subprocess.run(
        [sys.executable, "-c", program.replace("NAME", name)], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{number:d}\nnothing set()\n", "")


def test_a_signal_to_a_forked_child_ends_only_the_child():
    program = """
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
        time.sleep(0.2)
        os.kill(child, signal.SIGTERM)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        time.sleep(0.2)
        print(f"the child ended with {status}", flush=True)
        ready()
        time.sleep(60)
    """
    process = subprocess.Popen(
        [sys.executable, "-c", BEGIN + textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == f"the child ended with {-signal.SIGTERM}\n"
    assert end(process)[0] == 143


@pytest.mark.parametrize("text", ["soon", "1", "nan", "inf", "-3", ""])
def test_a_time_that_is_none_is_refused(text, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "zoo_core", "list"],
        env={**os.environ, "ZOO_STOP_SECONDS": text},
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"error: ZOO_STOP_SECONDS is '{text}', but should be a number of seconds of at least 2." in done.stderr


def test_a_signal_ends_the_command_before_and_while_it_imports(tmp_path):
    for moment in (0.1, 0.4, 0.8):
        command = [sys.executable, "-m", "zoo_core", "eval", str(Path(__file__))]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        time.sleep(moment)
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=60)
        if process.returncode == -signal.SIGTERM:  # Python itself had not started: 143 in a shell
            assert error == ""
        elif process.returncode == 143:
            assert error == "stopped by SIGTERM\n"
        else:
            assert process.returncode == 2  # it had ended with its own error
