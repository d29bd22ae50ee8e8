"""The layout of a sweep on disk, and the locks that assign trials to processes. See docs/sweeps.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit
from uuid import uuid4

from filelock import FileLock, Timeout

from zoo_core.config.command_line import REGISTRY_FILES, listed_files, zoo_command
from zoo_core.config.recipe import Recipe, read_config
from zoo_core.config.yaml_reader import as_text
from zoo_core.errors import BadFile, BadSetting, NameTaken
from zoo_core.files import write_atomically
from zoo_core.runs.folder import RunFolder
from zoo_core.tools.sweep.plan import Plan, plan

SWEEPS = Path("sweeps")


class SweepFolder:
    """``sweep.yaml``, the runs ``trial-0000`` …, the results, and the database unless ``--storage`` was given."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "sweep.yaml"
        self.database = path / "study.db"
        self.table = path / "trials.csv"
        self.plot = path / "sweep.png"
        self._identity = path / ".identity"
        self._locks = path / ".locks"

    def create(self) -> None:
        """Make the folder.

        Raises:
            NameTaken: if it already exists.
            BadFile: if it cannot be made.
        """
        try:
            self.path.mkdir(parents=True)
            self._locks.mkdir()
            write_atomically(self._identity, uuid4().hex)
        except FileExistsError:
            raise self.taken_error() from None
        except OSError as error:
            raise BadFile(
                f"the folder {self.path} could not be created: {error.strerror}.", "Choose another --folder."
            ) from error

    def taken_error(self) -> NameTaken:
        """The error to raise if the folder already exists."""
        return NameTaken(
            f"the folder {self.path} already exists, and a sweep is never overwritten.",
            f"Choose another --folder, or resume the sweep: {zoo_command(f'sweep --resume {quote(str(self.path))}')}",
        )

    def write(self, planned: Plan, study: str, storage: str | None) -> None:
        """Write ``sweep.yaml``, the last step of creating a sweep: a folder that has it can be resumed.

        Without ``storage`` the study lies in the folder itself, which may then be moved. A password is not written.
        """
        values = planned.as_values()
        shared = storage and without_password(storage)
        registries = [str(file) for file in listed_files(REGISTRY_FILES)]
        values["sweep"] |= {"trials": planned.trials, "study": study, "storage": shared, "registries": registries}
        write_atomically(self.config, as_text(values))

    def read(self, trials: int | None = None) -> tuple[Plan, str, str | None]:
        """The plan, the name of the study and the storage from ``sweep.yaml``; ``trials`` replaces their number.

        Raises:
            ZooError: if the file is not a valid sweep.
        """
        recipe = read_config(self.config)
        section = recipe.settings("sweep")
        section.pop("registries", None)
        overrides, study, storage = (section.pop(key, None) for key in ("overrides", "study", "storage"))
        own = Recipe(recipe.name, {**recipe.values, "sweep": section}, "", recipe.sources)
        return plan(own, overrides or (), trials=trials), str(study), storage

    @property
    def registries(self) -> list[Path]:
        """The registry files that the sweep was started with."""
        found = read_config(self.config).settings("sweep").get("registries")
        return [Path(str(file)) for file in found] if isinstance(found, list) else []

    @property
    def identity(self) -> str:
        """A unique ID that distinguishes this folder from those of other machines that share its storage."""
        return self._identity.read_text(encoding="utf-8")

    def trial(self, number: int) -> RunFolder:
        """The run of a trial."""
        return RunFolder(self.path / f"trial-{number:04d}")

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """A context in which no other process starts trials of this folder or writes its results."""
        with FileLock(self._locks / "sweep.lock"):
            yield

    def lock(self, number: int) -> FileLock | None:
        """Acquire the lock of a trial; None if another process holds it. The lock of a killed process is released."""
        lock = FileLock(self._locks / f"trial-{number:04d}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            return None
        try:
            if self.trial(number).config.is_file():
                with self.trial(number).locked():  # `zoo run --resume` may be training it
                    return lock
        except NameTaken:
            lock.release()
            return None
        return lock


def without_password(storage: str) -> str:
    """``storage`` with the password masked, as it may be printed and stored."""
    password = urlsplit(storage).password
    return storage.replace(f":{password}@", ":***@") if password else storage


def default_storage(folder: SweepFolder) -> str:
    """The URL of the default storage, a SQLite file in the folder."""
    return f"sqlite:///{folder.database.resolve()}"


def find_sweep(given: str) -> SweepFolder:
    """The sweep in the folder ``given``; ``last`` is the most recently changed one in ``sweeps``.

    Raises:
        BadSetting: if there is none.
    """
    if given == "last":
        folders = [path.parent for pattern in ("*/*", "*/*/*") for path in SWEEPS.glob(f"{pattern}/sweep.yaml")]
        if not folders:
            raise BadSetting(f"there is no sweep in {SWEEPS}.", "Name its folder, or start one: zoo sweep RECIPE")
        return SweepFolder(max(folders, key=_last_change))
    if not (Path(given) / "sweep.yaml").is_file():
        raise BadSetting(
            f"{given} is not the folder of a sweep: it has no sweep.yaml.", f"`ls {SWEEPS}` lists the sweeps."
        )
    return SweepFolder(Path(given))


def _last_change(sweep: Path) -> float:
    return max(path.stat().st_mtime for path in (sweep, *sweep.iterdir()))
