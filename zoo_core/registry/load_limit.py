"""The time that a plugin may take to load: its own, which is neither the import of torch nor waiting for a core."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any, NamedTuple

_SECONDS = 30.0
_AGAIN = 0.2  # seconds until it is interrupted again, if it catches what interrupts it
_TRIES = 10
_MOST = 60  # times the limit by the clock, whatever it waits for
_MOST_UNKNOWN = 4  # times the limit spent waiting, where the system does not say what for


class TooLong(BaseException):
    """Not an Exception, so that a plugin that catches all exceptions does not catch it."""


class Spent(NamedTuple):
    """Seconds that a thread has spent, or differences of them."""

    clock: float
    computing: float
    queueing: float | None
    """Ready to compute, while other threads had the cores; None if the system does not tell."""

    def since(self, other: Spent) -> Spent:
        queueing = None if self.queueing is None or other.queueing is None else self.queueing - other.queueing
        return Spent(self.clock - other.clock, self.computing - other.computing, queueing)


class LoadLimit:
    """Interrupts the main thread after a time limit.

    The limit is $ZOO_PLUGIN_TIMEOUT seconds, 30 by default, of computing or of waiting; 0 is no limit. It needs
    SIGALRM, and the block that it limits has to run in the main thread.
    """

    on_stuck: Callable[[str], object] | None = None
    """Called, in another thread, with the name of a plugin that catches every interruption. A command ends then."""

    def __init__(self, plugin: str) -> None:
        self._plugin = plugin
        self.seconds = _limit()
        self.on_torch: Callable[[], object] = lambda: None
        """Called when torch has just been imported."""
        self.undoing: CodeType | None = None
        """The code that undoes what the block has changed."""
        self._armed = False
        self._sending = threading.Lock()
        self._over = threading.Event()
        self._thread, self._ident = threading.get_native_id(), threading.get_ident()
        self._start = self._now()
        self._left_out = Spent(0.0, 0.0, 0.0)
        self._torch_since: Spent | None = None

    @contextmanager
    def handling_signals(self) -> Iterator[None]:
        """In this context, SIGALRM interrupts what is :meth:`limited`."""
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGALRM"):
            yield
            return
        before = signal.signal(signal.SIGALRM, self._end)
        try:
            yield
        finally:
            signal.signal(signal.SIGALRM, before)

    @contextmanager
    def limited(self) -> Iterator[None]:
        """In this context, TooLong is raised when the time is over."""
        finder = _TorchFinder(self)
        sys.meta_path.insert(0, finder)
        self._start = self._now()
        self._armed = bool(self.seconds) and signal.getsignal(signal.SIGALRM) == self._end
        if self._armed:
            threading.Thread(target=self._watch, name="zoo-load-limit", daemon=True).start()
        try:
            yield
        finally:
            self.end()
            self._over.set()
            with suppress(ValueError):  # the plugin has removed it
                sys.meta_path.remove(finder)

    def end(self) -> None:
        """From now on, nothing is interrupted."""
        self._armed = False
        with self._sending:  # a signal that is sent now still finds the handler, which does nothing any more
            pass

    @contextmanager
    def importing_torch(self) -> Iterator[None]:
        """In this context, no time counts."""
        if self._torch_since is not None:  # a part of torch
            yield
            return
        self._torch_since = self._now()
        try:
            yield
        finally:
            spent = self._now().since(self._torch_since)
            self._left_out = Spent(
                *(one + (other or 0.0) for one, other in zip(_plain(self._left_out), spent, strict=True))
            )
            self._torch_since = None

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self._armed and not self._is_at_exit(frame):
            raise TooLong

    def _is_at_exit(self, frame: FrameType | None) -> bool:
        """Whether the block has just ended. What undoes its changes must not be interrupted."""
        if frame is not None and frame.f_code.co_filename == contextlib.__file__:
            return True
        while frame is not None and frame.f_code is not self.undoing:
            frame = frame.f_back
        return frame is not None

    def _watch(self) -> None:
        """Interrupt the main thread when its time is over. This is a thread."""
        tries, wait = 0, self.seconds
        while not self._over.wait(wait):
            wait = min(_AGAIN, self.seconds)
            if self._is_over():
                tries += 1
                if tries > _TRIES and LoadLimit.on_stuck is not None:
                    LoadLimit.on_stuck(self._plugin)
                with self._sending:
                    if self._armed:  # else SIGALRM may have its default effect, which ends the process
                        signal.pthread_kill(self._ident, signal.SIGALRM)

    def _is_over(self) -> bool:
        spent = (self._torch_since or self._now()).since(self._start).since(self._left_out)
        waiting = spent.clock - spent.computing - (spent.queueing or 0.0)
        most = self.seconds * (1 if spent.queueing is not None else _MOST_UNKNOWN)
        return spent.computing > self.seconds or waiting > most or spent.clock > _MOST * self.seconds

    def _now(self) -> Spent:
        """What the thread that loads has spent until now; in any thread."""
        clock = time.monotonic()
        try:
            text = Path(f"/proc/self/task/{self._thread}/schedstat").read_text()
            computing, queueing = (int(word) / 1e9 for word in text.split()[:2])
        except (OSError, ValueError):  # not on Linux
            if hasattr(time, "pthread_getcpuclockid"):
                return Spent(clock, time.clock_gettime(time.pthread_getcpuclockid(self._ident)), None)
            return Spent(clock, time.process_time(), None)
        return Spent(clock, computing, queueing)


def _plain(spent: Spent) -> tuple[float, float, float]:
    return spent.clock, spent.computing, spent.queueing or 0.0


def _limit() -> float:
    try:
        return max(0.0, float(os.environ.get("ZOO_PLUGIN_TIMEOUT", _SECONDS)))
    except ValueError:
        return _SECONDS


class _TorchFinder(MetaPathFinder):
    """Finds torch and its modules as the other finders do, and measures their import."""

    def __init__(self, limit: LoadLimit) -> None:
        self._limit = limit

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != "torch" or self._limit._torch_since is not None:
            return None
        for finder in sys.meta_path:
            found = None if finder is self else finder.find_spec(fullname, path, target)
            if found is not None:
                if found.loader is not None:
                    found.loader = _TimedLoader(found.loader, self._limit, fullname)
                return found
        return None


class _TimedLoader(Loader):
    """Loads a module as another loader does, which the module refers to afterwards."""

    def __init__(self, loader: Any, limit: LoadLimit, name: str) -> None:
        self._loader, self._limit, self._name = loader, limit, name

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        with self._limit.importing_torch():
            return self._loader.create_module(spec)  # type: ignore[no-any-return]

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with self._limit.importing_torch():
            self._loader.exec_module(module)
        if self._name == "torch":
            self._limit.on_torch()
