"""The server of warm_python.py: import torch and zoo, and fork a process for each client until the owner ends."""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

# What most commands import. Modules of plugins are not among them: tests install others.
PRELOADED = [
    "accelerate", "numpy", "PIL.Image", "psutil", "rich.progress", "safetensors.torch", "tensorboard.compat.proto",
    "torch", "torch._dynamo", "torch.distributed.elastic.multiprocessing", "torch.distributed.fsdp",
    "torch.utils.tensorboard", "torchmetrics", "torchvision", "zoo_core.cli.check", "zoo_core.cli.predict",
    "zoo_core.cli.run", "zoo_core.cli.weights", "zoo_core.loggers", "zoo_core.training.runner",
]  # fmt: skip


def preload() -> list[str]:
    """Import the modules, and return ``sys.path`` as it is without this script and ``PYTHONPATH``."""
    for name in PRELOADED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    added = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [path for path in sys.path[1:] if path not in added]


def accept(folder: Path, owner: int) -> socket.socket | None:
    """The connection of a client, in a process that serves it; None in the server, when the owner has ended."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "new"))
    listener.listen(64)
    (folder / "new").rename(folder / "socket")  # it exists once it can be connected to
    ended = os.pidfd_open(owner)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        ready, _, _ = select.select([listener, ended], [], [])
        if ended in ready:
            return None
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            os.close(ended)
            return connection
        connection.close()


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """What the client asks for, and its streams."""
    length, descriptors, _, _ = socket.recv_fds(connection, 8, 3)
    content = b""
    while len(content) < int.from_bytes(length, "big"):
        content += connection.recv(int.from_bytes(length, "big") - len(content))
    return json.loads(content), list(descriptors)


def watch(connection: socket.socket, process: int) -> None:
    """Pass on the signals of the client, and tell it how the process ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    ended = os.pidfd_open(process)
    while True:
        ready, _, _ = select.select([connection, ended], [], [])
        if ended in ready:
            break
        numbers = connection.recv(16)
        for number in numbers or [signal.SIGKILL]:
            signal.pidfd_send_signal(ended, number)
        if not numbers:
            break
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    try:
        connection.sendall(f"{code}\n".encode())
    finally:
        os._exit(0)


def become(request: dict[str, Any], descriptors: list[int], python: str, base: list[str]) -> None:
    """Give this process the streams, the environment, the folder, the signals and the path that were asked for."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    for number in (signal.SIGCHLD, *request["ignored"]):
        signal.signal(number, signal.SIG_DFL if number == signal.SIGCHLD else signal.SIG_IGN)
    if signal.SIGINT not in request["ignored"]:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["folder"])
    if request["unbuffered"] or os.environ.get("PYTHONUNBUFFERED"):
        sys.stdout.reconfigure(write_through=True, line_buffering=True)
    os.getppid = lambda: parent(request["client"])
    sys.executable = python
    first = request["arguments"][0]
    start = {"-m": request["folder"], "-c": ""}.get(first, str(Path(first).resolve().parent))
    added = [] if request["safe"] else [start]
    sys.path[:] = [*added, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)), *base]
    importlib.invalidate_caches()
    del sys.modules["__mp_main__"]  # multiprocessing's name for this module, which is none of the process

    import numpy as np
    import torch

    np.random.seed()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))


def parent(client: int) -> int:
    """The process that started the client; 1 when the client is gone."""
    try:
        return int(Path(f"/proc/{client}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return 1


def execute(arguments: list[str]) -> None:
    first, *others = arguments
    sys.argv = others if first == "-m" else arguments
    if first == "-m":
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv = ["-c", *others[1:]]
        module = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(others[0], "<string>", "exec"), module.__dict__)  # noqa: S102
    else:
        runpy.run_path(first, run_name="__main__")


def end(run: Callable[[], None]) -> NoReturn:
    """End the process as Python does after ``run``, but for the modules, whose removal would take a second."""
    code: object = 0
    try:
        run()
    except SystemExit as exited:
        code = exited.code
    except BaseException as error:
        sys.excepthook(*sys.exc_info())
        code = 1
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)  # noqa: T201
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit((code or 0) & 0xFF)


def main(folder: Path, owner: int) -> None:
    base = preload()
    connection = accept(folder, owner)
    if connection is None:
        return
    request, descriptors = receive(connection)
    process = os.fork()
    if process:
        watch(connection, process)
    connection.close()
    become(request, descriptors, str(folder / "python-of-modules"), base)
    end(lambda: execute(request["arguments"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
