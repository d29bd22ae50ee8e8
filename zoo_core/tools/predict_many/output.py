"""Where the predictions of many files go: a file for each, one table, or lines on the terminal."""

from __future__ import annotations

import json
import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zoo_core.data.image_output import not_written
from zoo_core.data.values import kind_of
from zoo_core.errors import BadSetting, NameTaken, one_line
from zoo_core.files import file_of, remove_leftovers
from zoo_core.terminal import say_text
from zoo_core.tools.output_names import JOURNAL, journal_of
from zoo_core.tools.plain_values import is_plain
from zoo_core.tools.predict_many.inputs import Input, output_names
from zoo_core.tools.predict_many.journal import Journal, identity_of
from zoo_core.tools.predict_many.rows import in_table, unfit, write_rows
from zoo_core.tools.prediction import endings_of, in_json, unseen_values, write_value

TABLE = "predictions.csv"
_WITH_FOLDER = "Add -o FOLDER/, which writes a file for each, or -o out.csv."
_DEFAULT = {"images": ".png", "clips": ".gif", "classes": ".png", "array": ".npy", "table": ".csv", "audio": ".wav"}
Written = Callable[[], None]


class Output(ABC):
    """What is done with each prediction. ``accept`` is called in the main thread, what it returns in another one."""

    place: str = ""
    notes: list[str]

    @contextmanager
    def opened(self, about: Mapping[str, Any], inputs: Sequence[Input]) -> Iterator[None]:
        """In this context, predictions are accepted; at its end, what they have in common is written."""
        yield

    def is_done(self, given: Input) -> bool:
        """Whether the prediction is there from an earlier call."""
        return False

    @abstractmethod
    def accept(self, given: Input, values: dict[str, Any]) -> Written:
        """Take a prediction. What is returned writes its files.

        Raises:
            BadSetting: if such a prediction can't be written, and neither can the others.
            ZooError: if this one can't be written.
        """

    def finish(self, given: Input) -> None:  # noqa: B027  # nothing to do is the right default
        """Note that the files of a prediction are written."""


class Lines(Output):
    """A line of JSON for each file, on the terminal."""

    def __init__(self) -> None:
        self.notes = []

    def accept(self, given: Input, values: dict[str, Any]) -> Written:
        """Refuse what needs a file."""
        plain, _ = in_table(values, "", _WITH_FOLDER)
        if left_out := [name for name in values if name not in plain]:
            raise unfit(values, left_out[0], "", _WITH_FOLDER)
        say_text(json.dumps({"file": given.name, **plain}))
        return _nothing


class _Journaled(Output):
    def __init__(self, journal: Path, *, overwrite: bool) -> None:
        self.journal, self.overwrite = Journal(journal), overwrite
        self.notes = []
        self._pending: dict[str, tuple[list[int], dict[str, Any], list[str]]] = {}

    @contextmanager
    def opened(self, about: Mapping[str, Any], inputs: Sequence[Input]) -> Iterator[None]:
        """Go on with what an earlier call has done, unless it was of something else."""
        with self.journal.opened(about, overwrite=self.overwrite):
            self._refuse_changed(inputs)
            for path in (self.journal.path, *self.unfinished()):
                remove_leftovers(path)
            yield
            self.write_table(inputs)

    def is_done(self, given: Input) -> bool:
        """Whether it was finished, and its files are still there."""
        entry = self.journal.entries.get(given.name)
        return bool(entry and entry.identity is not None and self.has_files(entry.outputs))

    def has_files(self, outputs: list[str]) -> bool:
        """Whether the files of a prediction are there."""
        return True

    @abstractmethod
    def unfinished(self) -> Iterator[Path]:
        """The files that a kill may have interrupted."""

    def begin(self, given: Input, outputs: list[str], values: Mapping[str, Any], tables: list[str]) -> None:
        """Note what is about to be written."""
        self._pending[given.name] = identity_of(given.path), dict(values), tables
        self.journal.begin(given.name, outputs)

    def finish(self, given: Input) -> None:
        """Note it, so that the next call does not compute it again."""
        self.journal.finish(given.name, *self._pending.pop(given.name))

    @abstractmethod
    def write_table(self, inputs: Sequence[Input]) -> None:
        """Write what all predictions have in common."""

    def _refuse_changed(self, inputs: Sequence[Input]) -> None:
        changed = [one.path for one in inputs if self.is_done(one) and self._has_changed(one)]
        if changed:
            more = f" and {len(changed) - 1} more files" if len(changed) > 1 else ""
            raise NameTaken(
                f"{one_line(str(changed[0]))}{more} changed after {self.place} was written.",
                "Choose another name, or add --overwrite, which predicts all again.",
            )

    def _has_changed(self, given: Input) -> bool:
        try:
            return identity_of(given.path) != self.journal.entries[given.name].identity
        except OSError:
            return False  # it is reported when it is read

    def rows(self, inputs: Sequence[Input]) -> list[tuple[str, dict[str, Any], list[str]]]:
        """Name, plain values and the names of the tables of each finished prediction, in the order of the inputs."""
        entries = [(one.name, self.journal.entries.get(one.name)) for one in inputs]
        return [(name, dict(entry.values), entry.tables) for name, entry in entries if entry and entry.identity]


class TableFile(_Journaled):
    """One ``.csv`` or ``.json`` file with the plain values and tables of all predictions."""

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        super().__init__(journal_of(path), overwrite=overwrite)
        self.path, self.place = path, str(path)
        self._left_out = ""

    @contextmanager
    def opened(self, about: Mapping[str, Any], inputs: Sequence[Input]) -> Iterator[None]:
        """At the end, the file is complete; the journal stays only if a prediction is missing."""
        with super().opened(about, inputs):
            yield
        if all(map(self.is_done, inputs)):
            self.journal.path.unlink(missing_ok=True)

    def accept(self, given: Input, values: dict[str, Any]) -> Written:
        """Keep its plain values."""
        plain, tables = in_table(values, self.place, "Write -o FOLDER/ for a file for each.")
        left_out = [name for name in values if name not in plain]
        if left_out and not self._left_out:
            self._left_out = f"left out of {self.place}: {', '.join(left_out)}; -o FOLDER/ writes a file for each"
            self.notes.append(self._left_out)
        self.begin(given, [], plain, tables)
        return _nothing

    def unfinished(self) -> Iterator[Path]:
        """The table."""
        yield self.path

    def write_table(self, inputs: Sequence[Input]) -> None:
        """Write the file, unless there is nothing to write."""
        rows = self.rows(inputs)
        if rows:
            write_rows(self.path, rows)


class FolderOutput(_Journaled):
    """A file for each prediction, in the sub-folders of the inputs, and the plain values of all in one table."""

    def __init__(self, folder: Path, ending: str, *, overwrite: bool) -> None:
        super().__init__(folder / f".{JOURNAL}", overwrite=overwrite)
        self.folder, self.ending, self.place = folder, ending, f"{folder}/"
        self._names: dict[str, str] = {}
        self._taken: dict[str, str] = {TABLE: "the table of all files"}
        self._ours: set[str] = set()
        self._inputs: set[Path] = set()
        self._is_checked = False

    @contextmanager
    def opened(self, about: Mapping[str, Any], inputs: Sequence[Input]) -> Iterator[None]:
        """Refuse, before anything is computed, files that would be overwritten."""
        self._names = output_names(inputs)
        self._refuse_table_name()
        self._inputs = {file_of(one.path).absolute() for one in inputs}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise not_written(self.folder, error) from error
        with _removed_if_empty(self.folder), super().opened({**about, "format": self.ending or "default"}, inputs):
            self._ours = self.journal.outputs
            if self.ending:
                self._refuse_existing([f"{self._names[one.name]}{self.ending}" for one in inputs])
            yield

    def _refuse_table_name(self) -> None:
        table = self.folder / TABLE
        below = next((name for name in self._names if name.casefold().startswith(f"{TABLE}/")), None)
        if below is not None or table.is_dir():
            found = f"the input {below} is in a folder of that name" if below else "there is a folder of that name"
            hint = "Rename the folder of the inputs." if below else "Choose another folder."
            raise NameTaken(f"{table} is the table of all files, but {found}.", hint)
        if not self.overwrite and not self.journal.path.exists() and table.exists():
            raise NameTaken(
                f"{table} exists, and nothing is overwritten.", "Choose another folder, or add --overwrite."
            )

    def accept(self, given: Input, values: dict[str, Any]) -> Written:
        """Choose the files of a prediction."""
        endings = self._endings(values)
        base = self._names[given.name]
        main = next(iter(endings), "")
        outputs = {name: _below(base, "" if name == main else name, ending) for name, ending in endings.items()}
        if main and not self.ending and not self._is_checked:
            self._refuse_existing([f"{one}{endings[main]}" for one in self._names.values()])
            self._is_checked = True
        self._claim(given, list(outputs.values()))
        written = [name for name in endings if name] if "" not in endings else list(values)
        rest = {name: value for name, value in values.items() if name not in written and is_plain(value)}
        if unseen := unseen_values(values, endings):
            note = f"the model {unseen}"
            self.notes += [note] * (note not in self.notes)
        self.begin(given, list(outputs.values()), json.loads(in_json(rest)), [])

        def write() -> None:
            for name, output in outputs.items():
                path = self.folder / output
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                except OSError as error:
                    raise not_written(path, error) from error
                write_value(values, name, path)

        return write

    def has_files(self, outputs: list[str]) -> bool:
        """Whether none was deleted."""
        return all((self.folder / output).exists() for output in outputs)

    def unfinished(self) -> Iterator[Path]:
        """The table, and the files of predictions that were begun."""
        yield self.folder / TABLE
        for entry in self.journal.entries.values():
            yield from (self.folder / output for output in entry.outputs if entry.identity is None)

    def write_table(self, inputs: Sequence[Input]) -> None:
        """Write the plain values of all predictions, if they have any."""
        rows = self.rows(inputs)
        if any(values for _, values, _ in rows):
            write_rows(self.folder / TABLE, rows)

    def _endings(self, values: dict[str, Any]) -> dict[str, str]:
        if self.ending:
            return endings_of(values, Path(f"{self.folder / 'NAME'}{self.ending}"))
        kinds = {name: kind_of(value) for name, value in values.items() if not is_plain(value)}
        return {name: _DEFAULT[kind] for name, kind in kinds.items() if kind in _DEFAULT}

    def _refuse_existing(self, outputs: Sequence[str]) -> None:
        if self.overwrite:
            return
        existing = [one for one in outputs if one not in self._ours and (self.folder / one).exists()]
        if existing:
            more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
            raise BadSetting(
                f"{self.folder / existing[0]}{more} exist{'s' * (len(existing) == 1)}, and nothing is overwritten.",
                "Choose another folder, or add --overwrite.",
            )

    def _claim(self, given: Input, outputs: list[str]) -> None:
        for output in outputs:
            key, path = unicodedata.normalize("NFC", output).casefold(), self.folder / output
            if self._taken.setdefault(key, given.name) != given.name:
                raise NameTaken(f"{path} is already the file of {self._taken[key]}.", "Rename one of the inputs.")
            if path.absolute() in self._inputs:
                raise NameTaken(f"{path} is one of the inputs, which are never overwritten.", "Choose another folder.")
            if not self.overwrite and output not in self._ours and path.exists():
                raise NameTaken(f"{path} exists, and nothing is overwritten.", "Add --overwrite.")


def _below(base: str, value: str, ending: str) -> str:
    """The path of a value's file; all but the main one have a folder of the value's name."""
    folder = re.sub(r"[^\w.-]+", "_", unicodedata.normalize("NFC", value))[:50].lstrip(".")
    return f"{folder}/{base}{ending}" if value else f"{base}{ending}"


@contextmanager
def _removed_if_empty(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(OSError):  # it is not empty
            folder.rmdir()


def _nothing() -> None:
    pass
