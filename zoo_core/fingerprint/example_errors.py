"""Errors raised while a batch is made, as errors of zoo that name the dataset and the example."""

from __future__ import annotations

import errno
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from zoo_core import errors
from zoo_core.errors import BadFile, RunFailed, ZooError, raised

MANY_FILES_HINT = "Raise the limit with `ulimit -n 65536`, or use fewer run.workers."
SHARED_MEMORY_HINT = "Enlarge /dev/shm (for Docker: `--shm-size=8g`), or use `run.workers=0`."
MEMORY_HINT = "Memory ran out, most likely: use fewer run.workers, a smaller run.batch_size, or `run.workers=0`."
_TRACEBACK_HINT = "--traceback shows where."


def as_zoo_error(error: BaseException, dataset: str, examples: str) -> ZooError:
    """The error of zoo for what ``dataset`` raised when it loaded ``examples``, such as "training example 7"."""
    if isinstance(error, ZooError):
        return _of_zoo(error)(f"{error.message.rstrip('.')} ({examples} of {dataset}).", error.hint)
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        return RunFailed(f"{dataset} has too many open files, at {examples}.", MANY_FILES_HINT)
    if isinstance(error, OSError):
        return BadFile(
            f"{dataset} cannot read {examples}: {raised(error)}.", f"Repair or remove the file. {_TRACEBACK_HINT}"
        )
    if isinstance(error, MemoryError):
        return RunFailed(f"{dataset} ran out of memory at {examples}: {raised(error)}.", MEMORY_HINT)
    place = place_of(error)
    return RunFailed(f"{dataset} raised {raised(error)}{place}, at {examples}.", _TRACEBACK_HINT)


def sharing_error(error: Exception, dataset: str) -> RunFailed | None:
    """The error of zoo if shared memory or open files ran out while a batch was shared with another process."""
    text = raised(error)
    if "shared memory" in text or "No space left" in text:
        return RunFailed(f"a batch of {dataset} does not fit into shared memory: {text}.", SHARED_MEMORY_HINT)
    if "too many open files" in text.lower():
        return RunFailed(f"the batches of {dataset} need too many open files.", MANY_FILES_HINT)
    return None


def is_interruption(error: BaseException) -> bool:
    """Whether an error ends the process from outside, such as a signal, and was not raised by a dataset."""
    if isinstance(error, Exception | SystemExit | GeneratorExit):
        last = _frames(error.__traceback__)[-1:]
        return bool(last) and last[0][0].startswith(("zoo_core.training", "zoo_core.engine", "zoo_core.cli"))
    return True


@dataclass(frozen=True)
class SentError:
    """An error of zoo on its way from a worker: exceptions of plugins cannot all be pickled and created again."""

    kind: str
    message: str
    hint: str | None
    traceback: str

    @classmethod
    def of(cls, error: ZooError) -> SentError:
        """The error, which was caught in this process."""
        return cls(_of_zoo(error).__name__, error.message, error.hint, "".join(traceback.format_exception(error)))

    def raise_again(self) -> None:
        """Raises the error, with the traceback of the worker as its cause, for ``--traceback``."""
        kind: type[ZooError] = getattr(errors, self.kind)
        raise kind(self.message, self.hint) from InWorker(self.traceback)


class InWorker(Exception):
    """The traceback of an error in a worker."""

    def __str__(self) -> str:
        return f"in a loader worker:\n{self.args[0]}"


def _of_zoo(error: ZooError) -> type[ZooError]:
    """The class of zoo that an error derives from; a class of a plugin may have other parameters."""
    return next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)


def place_of(error: BaseException) -> str:
    """Where a plugin's code raised: the innermost frame in the package whose code was called first."""
    frames = [frame for frame in _frames(error.__traceback__) if frame[0].partition(".")[0] not in _NOT_OF_PLUGINS]
    if not frames:
        return ""
    package = frames[0][0].partition(".")[0]
    _, file, line = next(frame for frame in reversed(frames) if frame[0].partition(".")[0] == package)
    return f" ({file.parent.name}/{file.name}, line {line})"


_NOT_OF_PLUGINS = {"zoo_core", "torch", "click", "pluggy", *sys.stdlib_module_names} - {"__main__"}


def _frames(trace: TracebackType | None) -> list[tuple[str, Path, int]]:
    return [
        (str(frame.f_globals.get("__name__", "")), Path(frame.f_code.co_filename), line)
        for frame, line in traceback.walk_tb(trace)
    ]
