"""Global state of the process and of torch: what a plugin changes in it while it is loaded, or a run, is undone."""

from __future__ import annotations

import builtins
import gc
import locale
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from zoo_core.errors import raised

_OF_SYS = ("exit", "excepthook", "unraisablehook", "displayhook", "breakpointhook", "argv", "dont_write_bytecode")
_LISTS = ("path", "meta_path", "path_hooks")  # to which a plugin may add, but from which it may remove nothing


class ProcessState:
    """The state at one time.

    What programs change by right while they are imported does not count: added folders of ``sys.path``, added
    environment variables, filters of certain warnings, higher limits.
    """

    def __init__(self) -> None:
        self._trace, self._profile = sys.gettrace(), sys.getprofile()
        self._recursion, self._interval = sys.getrecursionlimit(), sys.getswitchinterval()
        self._sys = {name: getattr(sys, name, None) for name in _OF_SYS}
        self._thread_hook = threading.excepthook
        self._lists = {name: list(getattr(sys, name)) for name in _LISTS}
        self._namespace = vars(builtins)
        self._builtins = dict(self._namespace)
        self._folder = _folder()
        self._umask = _umask()
        self._environment = dict(os.environ)
        self._filters, self._show = list(warnings.filters), warnings.showwarning
        self._handlers = {number: signal.getsignal(number) for number in signal.Signals}
        self._timer = signal.getitimer(signal.ITIMER_REAL) if hasattr(signal, "getitimer") else None
        self._locale = locale.setlocale(locale.LC_ALL)
        self._gc = gc.isenabled(), gc.get_threshold()
        self._logging = _logging()
        self._limits = _limits()
        self._torch: dict[str, Any] | None = None
        self.remember_torch()

    def remember_torch(self) -> None:
        """Remember what torch is set to: at first, or when a plugin has just imported it."""
        if self._torch is None and "torch" in sys.modules:
            with suppress(AttributeError, TypeError):  # an earlier plugin has put something else there, and was named
                self._torch = torch_state()

    def undo(self) -> list[str]:
        """Undo what has changed, and name it."""
        undone: list[str] = []
        # First what the following needs.
        if sys.gettrace() is not self._trace or sys.getprofile() is not self._profile:
            sys.settrace(self._trace)
            sys.setprofile(self._profile)
            undone.append("the trace or profile function")
        if sys.getrecursionlimit() != self._recursion:
            sys.setrecursionlimit(self._recursion)
            undone.append("the recursion limit")
        if changed := [name for name, value in self._builtins.items() if self._namespace.get(name, self) is not value]:
            self._namespace.update(self._builtins)
            undone.append("builtins." + _shown(changed))
        self._undo_sys(undone)
        self._undo_process(undone)
        self._undo_signals(undone)
        self._undo_reports(undone)
        self._undo_torch(undone)
        return undone

    def _undo_sys(self, undone: list[str]) -> None:
        for name, value in self._sys.items():
            if getattr(sys, name, None) is not value:
                setattr(sys, name, value)
                undone.append(f"sys.{name}")
        if threading.excepthook is not self._thread_hook:
            threading.excepthook = self._thread_hook
            undone.append("threading.excepthook")
        for name, before in self._lists.items():
            now = getattr(sys, name)
            if not isinstance(now, list) or any(not any(one is other for other in now) for one in before):
                setattr(sys, name, before)
                undone.append(f"sys.{name}")
        if sys.getswitchinterval() != self._interval:
            sys.setswitchinterval(self._interval)
            undone.append("the switch interval")
        if (gc.isenabled(), gc.get_threshold()) != self._gc:
            enabled, thresholds = self._gc
            gc.set_threshold(*thresholds)
            gc.enable() if enabled else gc.disable()
            undone.append("the garbage collection")

    def _undo_process(self, undone: list[str]) -> None:
        if self._folder is not None and _folder() != self._folder:
            with suppress(OSError):
                os.chdir(self._folder)
            undone.append("the working directory")
        if _umask() != self._umask:
            os.umask(self._umask)
            undone.append("the umask")
        changed = [name for name, value in self._environment.items() if os.environ.get(name) != value]
        if changed:
            os.environ.update({name: self._environment[name] for name in changed})
            undone.append(f"the environment variable{'s' * (len(changed) > 1)} {_shown(changed)}")
        for number, (soft, name) in self._limits.items():
            import resource

            now, hard = resource.getrlimit(number)
            if _lower(now, soft):
                with suppress(OSError, ValueError):  # the hard limit was lowered, too, which can't be undone
                    resource.setrlimit(number, (soft, hard))
                undone.append(f"the limit {name}")
        if locale.setlocale(locale.LC_ALL) != self._locale:
            locale.setlocale(locale.LC_ALL, self._locale)
            undone.append("the locale")

    def _undo_signals(self, undone: list[str]) -> None:
        changed = [one for one, handler in self._handlers.items() if signal.getsignal(one) is not handler]
        for number in changed:  # in the main thread only, where alone they can be set
            if (handler := self._handlers[number]) is not None:
                signal.signal(number, handler)
        if changed:
            undone.append(f"the handlers of {_shown([one.name for one in changed])}")
        if self._timer == (0.0, 0.0) and signal.getitimer(signal.ITIMER_REAL) != self._timer:
            signal.setitimer(signal.ITIMER_REAL, 0)
            undone.append("the alarm timer")

    def _undo_reports(self, undone: list[str]) -> None:
        """Undo what would hide messages: filters of all warnings, and settings of logging."""
        added = [one for one in warnings.filters if one not in self._filters]
        general = [one for one in added if _is_general(one)]
        if general or [one for one in warnings.filters if one in self._filters] != self._filters:
            specific = [one for one in added if one not in general]
            with suppress(ValueError):
                warnings.resetwarnings()  # also makes Python forget which warnings it has shown
            warnings.filters[:] = [*specific, *self._filters]  # type: ignore[index]
            undone.append("the warnings filters")
        if warnings.showwarning is not self._show:
            warnings.showwarning = self._show
            undone.append("warnings.showwarning")
        if _logging() != self._logging:
            logging: Any = sys.modules["logging"]
            disabled, level = self._logging
            logging.disable(disabled)
            logging.getLogger().setLevel(level)
            undone.append("the root settings of logging")

    def _undo_torch(self, undone: list[str]) -> None:
        if self._torch is None:
            return
        try:
            for name, (read, put_back) in torch_settings().items():
                if read() != self._torch[name]:
                    put_back(self._torch[name])
                    undone.append(f"torch's {name}")
        except Exception as error:  # of what the plugin has put in the place of torch's functions
            undone.append(f"torch, whose settings can't be read any more ({raised(error)})")


@contextmanager
def restoring_process() -> Iterator[None]:
    """In this context, anything may be changed; at its end, the process is as it was. Import torch before it."""
    state = ProcessState()
    with warnings.catch_warnings():
        try:
            yield
        finally:
            state.undo()


def torch_state() -> dict[str, Any]:
    """What torch is set to, by name."""
    return {name: read() for name, (read, _) in torch_settings().items()}


def torch_settings() -> dict[str, tuple[Callable[[], Any], Callable[[Any], object]]]:
    """What reads each setting of torch, and what sets it. Import torch before it."""
    torch: Any = sys.modules["torch"]
    cudnn, memory = torch.backends.cudnn, torch.utils.deterministic

    def deterministic() -> tuple[bool, bool]:
        return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()

    def set_cudnn(value: tuple[bool, bool]) -> None:
        cudnn.benchmark, cudnn.deterministic = value

    return {
        "default dtype": (torch.get_default_dtype, torch.set_default_dtype),
        "default device": (
            lambda: str(torch.get_default_device()),
            lambda value: torch.set_default_device(None if value == "cpu" else value),
        ),
        "grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
        "number of threads": (torch.get_num_threads, torch.set_num_threads),
        "deterministic algorithms": (
            deterministic,
            lambda value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
        ),
        "filling of uninitialized memory": (
            lambda: memory.fill_uninitialized_memory,
            lambda value: setattr(memory, "fill_uninitialized_memory", value),
        ),
        "anomaly detection": (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
        "float32 precision of matrix products": (
            torch.get_float32_matmul_precision,
            torch.set_float32_matmul_precision,
        ),
        "cuDNN settings": (lambda: (cudnn.benchmark, cudnn.deterministic), set_cudnn),
        "flushing of denormal numbers": (flushes_denormals, torch.set_flush_denormal),
    }


def flushes_denormals() -> bool:
    """Whether the CPU flushes denormal numbers to zero, which torch can set and not tell."""
    smallest = sys.float_info.min
    return smallest / 2 == 0.0


@contextmanager
def flushing(flushes: bool) -> Iterator[None]:
    """In this context, the CPU flushes denormal numbers to zero, or does not."""
    torch: Any = sys.modules["torch"]
    before = flushes_denormals()
    torch.set_flush_denormal(flushes)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return None


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def _logging() -> tuple[int, int]:
    """The level that is disabled and that of the root logger; not imported, ``logging`` has these."""
    logging: Any = sys.modules.get("logging")
    return (0, 30) if logging is None else (logging.root.manager.disable, logging.root.level)


def _limits() -> dict[int, tuple[int, str]]:
    try:
        import resource
    except ImportError:  # Windows
        return {}
    numbers = {getattr(resource, name): name for name in dir(resource) if name.startswith("RLIMIT_")}
    return {number: (resource.getrlimit(number)[0], name) for number, name in numbers.items()}


def _lower(now: int, before: int) -> bool:
    """Whether a limit is lower than another; -1 is no limit."""
    return now != before and now != -1 and (before == -1 or now < before)


def _is_general(warning_filter: tuple[Any, ...]) -> bool:
    """Whether a filter concerns the warnings of zoo, whatever their text."""
    _, message, category, module, _ = warning_filter
    return message is None and module is None and issubclass(UserWarning, category)


def _shown(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
