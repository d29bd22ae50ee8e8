"""Stand for a process that the server of warm_python.py forks.

The process gets this one's streams, environment and working folder, and the signals that this one receives. If this one
is killed, it is killed, too. This one ends as it ends: with its exit code, or by the same signal.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import sys
import time
from itertools import takewhile

FORWARDED = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2]


def main(folder: str, owner: int, forked: str, arguments: list[str]) -> None:
    """Run Python with these arguments, in the server of this folder if they are of a kind in ``forked``."""
    options = list(takewhile(lambda word: word in ("-u", "-P"), arguments))
    words = arguments[len(options) :]
    kind = "FILE" if words and not words[0].startswith("-") else "".join(words[:1])
    if kind not in forked.split(","):
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606
    server = connect(folder, owner)
    request = {
        "arguments": words,
        "safe": "-P" in options,
        "unbuffered": "-u" in options,
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "ignored": [number for number in FORWARDED if signal.getsignal(number) == signal.SIG_IGN],
        "client": os.getpid(),
    }
    content = json.dumps(request).encode()
    socket.send_fds(server, [len(content).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(content)
    for number in FORWARDED:
        if number not in request["ignored"]:
            signal.signal(number, lambda number, frame: server.sendall(bytes([number])))
    end(int(server.makefile().readline() or -signal.SIGKILL))


def end(code: int) -> None:
    """End this process as the other one ended; ``code`` is as in ``subprocess``."""
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def connect(folder: str, owner: int) -> socket.socket:
    """A connection to the server, which the first client starts."""
    server = socket.socket(socket.AF_UNIX)
    address = os.path.join(folder, "socket")
    with open(os.path.join(folder, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(address):
            start(folder, owner, address)
        server.connect(address)
    return server


def start(folder: str, owner: int, address: str) -> None:
    import subprocess

    with open(os.path.join(folder, "environment.json")) as file:
        environment = json.load(file)
    command = [sys.executable, os.path.join(os.path.dirname(__file__), "warm_python_server.py"), folder, str(owner)]
    with open(os.path.join(folder, "log"), "w") as log:
        options = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log, "start_new_session": True}
        process = subprocess.Popen(command, env=environment, **options)
    while not os.path.exists(address):
        if process.poll() is not None:
            with open(os.path.join(folder, "log")) as log:
                sys.exit(log.read())
        time.sleep(0.02)
