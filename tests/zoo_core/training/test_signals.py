"""What a key press does where there is nothing to save."""

import signal
import subprocess
import sys
import textwrap
import threading

import tiny

from zoo_core.training.signals import TIME_LIMIT, exits_on_interrupt, stops_after

CARELESS = """
    import os, signal
    from zoo_core.training.signals import exits_on_interrupt

    with exits_on_interrupt():
        try:  # as some modules do as they are imported
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                pass
        except BaseException:
            pass
    print("lost")
"""


def test_a_key_press_ends_the_process_though_its_exception_would_be_lost():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CARELESS)], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_outside_a_key_press_is_what_it_was():
    before = signal.getsignal(signal.SIGINT)
    with exits_on_interrupt():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_a_time_limit_leaves_no_thread_behind(tmp_path):
    run = tiny.train(tmp_path / "run")
    before = threading.enumerate()
    with stops_after(run, 600):
        assert len(threading.enumerate()) == len(before) + 1
    assert threading.enumerate() == before


def test_a_time_limit_that_has_passed_stops_the_run(tmp_path):
    run = tiny.train(tmp_path / "run")
    with stops_after(run, 0.01):
        for thread in threading.enumerate():
            if isinstance(thread, threading.Timer):
                thread.join()
    assert run.stopping == TIME_LIMIT
