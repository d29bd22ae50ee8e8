"""Predict for many files: threads read ahead, the model computes, and threads write."""

from __future__ import annotations

import errno
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from zoo_core.data.values import as_prediction
from zoo_core.errors import BadFile, BadSetting, RunFailed, ZooError, one_line, printable, raised
from zoo_core.files import file_of, stat_regular
from zoo_core.fingerprint.progress import ProgressLine
from zoo_core.model import Model
from zoo_core.tools.predict_many.arguments import FileArgument
from zoo_core.tools.predict_many.inputs import Input
from zoo_core.tools.predict_many.output import Output
from zoo_core.training.error_attribution import attributing_errors

BATCH_SIZE = 16
_WORKERS = 2
_WRITERS = 2
_READ_AHEAD = 2**28  # bytes of tensors that wait for the model, besides one file
_ALIKE = 10  # first files that fail with one message of the model, after which the others are not tried


@dataclass
class Outcome:
    """What has become of the files."""

    written: int = 0
    finished_before: int = 0
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass
class _Job:
    """A prediction that is being written."""

    given: Input
    future: Future[None]


class Prediction:
    """Predictions of a model for many files, in their order."""

    def __init__(self, model: Model, argument: FileArgument, fixed: Mapping[str, Any], output: Output) -> None:
        self.model, self.argument, self.fixed, self.output = model, argument, fixed, output
        self.outcome = Outcome()
        self._source = f"predict of the model {type(model).__name__}"
        self._alike: set[str] = set()
        self._writing: deque[_Job] = deque()

    def run(self, inputs: Sequence[Input], *, batch_size: int, workers: int = _WORKERS) -> Outcome:
        """Predict for the files that an earlier call has not finished.

        Raises:
            BadSetting: if an argument of the model or the name of the output is not suitable for any file.
        """
        started = time.monotonic()
        remaining = [one for one in inputs if not self.output.is_done(one)]
        self.outcome.finished_before = len(inputs) - len(remaining)
        batches = batch_size if type(self.model).predict_batch is not Model.predict_batch else 1
        readers = ThreadPoolExecutor(max(1, workers), "zoo-reader")
        writers = ThreadPoolExecutor(_WRITERS, "zoo-writer")
        try:
            with ProgressLine("predicting", len(remaining), "files", timed=True) as self._progress:
                for batch in self._batches(remaining, readers, batches, batches + 2 * workers):
                    self._predict(batch, writers)
                    self._settle(2 * batches)
                self._settle(0)
        finally:
            for pool in (readers, writers):
                pool.shutdown(wait=False, cancel_futures=True)
        self.outcome.seconds = time.monotonic() - started
        return self.outcome

    def _batches(
        self, inputs: Sequence[Input], readers: ThreadPoolExecutor, size: int, ahead: int
    ) -> Iterator[list[tuple[Input, Mapping[str, Any]]]]:
        """What was read for ``size`` files at a time."""
        waiting = iter(inputs)
        reading: deque[tuple[Input, Future[Mapping[str, Any]]]] = deque()
        batch = []
        largest, fitting = 1, 1  # bytes of a file, and files that may be in memory
        while True:
            while len(reading) < min(ahead, fitting) and (given := next(waiting, None)) is not None:
                reading.append((given, readers.submit(self._read, given)))
            if not reading:
                break
            given, future = reading.popleft()
            try:
                batch.append((given, future.result()))
            except Exception as error:
                self._fail(given, error)
            else:
                largest = max(largest, _size(batch[-1][1]))
                fitting = max(1, _READ_AHEAD // largest)
            if len(batch) >= min(size, fitting):
                yield batch
                batch = []
        if batch:
            yield batch

    def _read(self, given: Input) -> Mapping[str, Any]:
        if not (self.argument.kind == "video" and given.path.is_dir()):
            stat_regular(file_of(given.path))  # opening a pipe would wait
        with self._attributed():
            return self.model.read_inputs(**self.fixed, **{self.argument.name: self.argument.given(given.path)})

    def _predict(self, batch: list[tuple[Input, Mapping[str, Any]]], writers: ThreadPoolExecutor) -> None:
        values: list[Any]
        try:
            with self._attributed():
                values = list(self.model.predict_batch([one for _, one in batch]))
        except Exception as error:
            if len(batch) == 1:
                self._fail(batch[0][0], error)
                return
            for one in batch:  # which of them is it?
                self._predict([one], writers)
            return
        if len(values) != len(batch):
            raise RunFailed(
                f"predict_batch of the model {type(self.model).__name__} returns {len(values)} predictions for "
                f"{len(batch)} files.",
                "Return one for each.",
            )
        for (given, _), returned in zip(batch, values, strict=True):
            try:
                write = self.output.accept(given, as_prediction(returned, self._source))
            except Exception as error:
                self._fail(given, error)
            else:
                self._writing.append(_Job(given, writers.submit(write)))

    def _settle(self, most: int) -> None:
        """Wait until at most ``most`` predictions are being written."""
        while len(self._writing) > most:
            job = self._writing.popleft()
            try:
                job.future.result()
            except Exception as error:
                self._fail(job.given, error)
            else:
                self.output.finish(job.given)
                self.outcome.written += 1
                self._count()

    def _fail(self, given: Input, error: Exception) -> None:
        if isinstance(error, (BadSetting, BrokenPipeError)) or _is_full(error):
            raise error
        text = _described(error)
        self.outcome.failed.append(given.name)
        self._progress.say(f"failed: {text if str(given.path) in text else f'{one_line(str(given.path))}: {text}'}")
        self._count()
        self._alike.add("" if isinstance(error, BadFile) else text)
        if (
            not self.outcome.written
            and self._alike - {""}
            and len(self._alike) == 1
            and len(self.outcome.failed) >= _ALIKE
        ):
            raise BadSetting(f"the first {_ALIKE} files failed alike: {text}", "Fix this, and start again.")

    def _count(self) -> None:
        self._progress.update(self.outcome.written + len(self.outcome.failed))

    def _attributed(self) -> Any:
        return attributing_errors({f"the model {type(self.model).__name__}": type(self.model)})


def _size(inputs: Mapping[str, Any]) -> int:
    """Bytes of the tensors that were read for a file."""
    return sum(value.nbytes for value in inputs.values() if isinstance(value, Tensor))


def _is_full(error: BaseException) -> bool:
    """Whether nothing can be written any more, for any file."""
    causes = [error, error.__cause__]
    return any(isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS) for one in causes)


def _described(error: Exception) -> str:
    """An error in one line."""
    if isinstance(error, ZooError):
        return printable(" ".join(filter(None, [error.message, error.hint])))
    return raised(error)


def summary(outcome: Outcome, place: str) -> str:
    """One line about what was done."""
    from zoo_core.fingerprint.progress import format_rate

    rate = f", {format_rate(outcome.written / outcome.seconds)} a second" if outcome.written and outcome.seconds else ""
    before = f"; {outcome.finished_before:,} were finished before" if outcome.finished_before else ""
    goes = f" to {place}" if place else ""
    return f"{outcome.written:,} prediction{'s' * (outcome.written != 1)}{goes}{rate}{before}"
