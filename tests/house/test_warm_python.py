"""Processes of the interpreter that has imported torch already behave as other processes do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from warm_python import PYTHON

EXPLAIN = """
import atexit, json, os, sys
json.dump([sys.argv, sys.path[0], os.getcwd(), sorted(os.environ.items()), sys.stdin.read()], sys.stdout)
print("said", file=sys.stderr)
atexit.register(print, "the last line")
sys.exit(7)
"""
WAIT = """
import os, sys, time
try:
    print(os.getpid(), flush=True)
    time.sleep(100)
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize("kind", ["-c", "-m", "-P -m", "-u -m", "file"])
def test_arguments_folder_environment_streams_and_exit_code_are_those_of_python(tmp_path: Path, kind: str) -> None:
    (tmp_path / "explain.py").write_text(EXPLAIN)
    words = {"-c": ["-c", EXPLAIN], "file": ["explain.py"]}.get(kind, [*kind.split(), "explain"])
    options = {"cwd": tmp_path, "capture_output": True, "text": True, "input": "typed"}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), "LC_ALL": "C.UTF-8"}
    warm, cold = (
        subprocess.run([python, *words, "one", "--two"], env=environment, **options)
        for python in (PYTHON, sys.executable)
    )
    assert (warm.returncode, warm.stdout, warm.stderr) == (cold.returncode, cold.stdout, cold.stderr)
    assert (cold.returncode, cold.stderr) == (7, "said\n")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_signal_reaches_the_process_and_both_end_in_the_same_way(number: signal.Signals, code: int) -> None:
    with subprocess.Popen([PYTHON, "-c", WAIT], stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout
        process = psutil.Process(int(client.stdout.readline()))
        client.send_signal(number)
        assert client.wait(timeout=60) == code
        psutil.wait_procs([process], timeout=60)
        assert not process.is_running()


@pytest.mark.parametrize("program", ["raise ValueError('no')", "import sys; sys.exit('no')", "raise KeyboardInterrupt"])
def test_an_error_ends_a_process_with_the_code_and_the_last_line_of_python(program: str) -> None:
    options = {"capture_output": True, "text": True}
    warm, cold = (subprocess.run([python, "-c", program], **options) for python in (PYTHON, sys.executable))
    assert warm.returncode == cold.returncode
    assert warm.stderr.splitlines()[-1] == cold.stderr.splitlines()[-1]


def test_a_process_that_kills_itself_is_seen_as_killed() -> None:
    done = subprocess.run([PYTHON, "-c", "import os; os.kill(os.getpid(), 9)"])
    assert done.returncode == -signal.SIGKILL


def test_the_modules_of_the_server_are_not_those_of_the_process() -> None:
    program = "import sys; print(*[getattr(module, '__file__', '') for module in list(sys.modules.values())])"
    done = subprocess.run([PYTHON, "-c", program], capture_output=True, text=True)
    assert "numpy" in done.stdout
    assert "warm_python" not in done.stdout


def test_a_process_has_imported_torch_before_it_starts() -> None:
    subprocess.run([PYTHON, "-c", ""], check=True)  # the server has started
    started = time.monotonic()
    done = subprocess.run([PYTHON, "-c", "import sys; print('torch' in sys.modules)"], capture_output=True, text=True)
    assert done.stdout == "True\n"
    assert time.monotonic() - started < 10


def test_other_options_start_the_interpreter_itself() -> None:
    program = "import sys; print('torch' in sys.modules)"
    done = subprocess.run([PYTHON, "-W", "error", "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n"
