"""The layout of a sweep on disk, and who works on what. See docs/sweeps.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from filelock import FileLock, Timeout

from zoo_core.config.recipe import Recipe, read_config
from zoo_core.config.yaml_reader import as_text
from zoo_core.errors import BadFile, BadSetting, NameTaken
from zoo_core.files import write_atomically
from zoo_core.runs.folder import RunFolder
from zoo_core.tools.sweep.plan import Plan, plan

SWEEPS = Path("sweeps")


class SweepFolder:
    """``sweep.yaml``, the runs ``trial-0000`` …, the database unless it lies elsewhere, and the results."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "sweep.yaml"
        self.database = path / "study.db"
        self.table = path / "trials.csv"
        self.picture = path / "sweep.png"
        self._identity = path / ".identity"
        self._locks = path / ".locks"

    def create(self) -> None:
        """Make the folder.

        Raises:
            NameTaken: if it is there already.
            BadFile: if it cannot be made.
        """
        try:
            self.path.mkdir(parents=True)
            self._locks.mkdir()
            write_atomically(self._identity, uuid4().hex)
        except FileExistsError:
            raise self.taken() from None
        except OSError as error:
            raise BadFile(
                f"the folder {self.path} could not be made: {error.strerror}.", "Choose another --folder."
            ) from error

    def taken(self) -> NameTaken:
        """What is said where the folder is there already."""
        return NameTaken(
            f"the folder {self.path} is there already, and a sweep never overwrites another.",
            f"Choose another --folder, or go on with it: zoo sweep --resume {self.path}",
        )

    def write(self, planned: Plan, study: str, storage: str | None) -> None:
        """Last of all as a sweep begins: a folder that has its ``sweep.yaml`` can be gone on with.

        Without ``storage`` the study lies in the folder itself, which may then be moved. A password is not written.
        """
        held = planned.as_values()
        held["sweep"] |= {"trials": planned.trials, "study": study, "storage": storage and without_password(storage)}
        write_atomically(self.config, as_text(held))

    def read(self, trials: int | None = None) -> tuple[Plan, str, str | None]:
        """What ``write`` wrote, with another number of trials if one is given.

        Raises:
            ZooError: if it was altered, and is no sweep any more.
        """
        recipe = read_config(self.config)
        section = recipe.settings("sweep")
        words, study, storage = (section.pop(key, None) for key in ("words", "study", "storage"))
        own = Recipe(recipe.name, {**recipe.values, "sweep": section}, "", recipe.sources)
        return plan(own, words or (), trials=trials), str(study), storage

    @property
    def identity(self) -> str:
        """What tells this folder from those of other machines that share its storage."""
        return self._identity.read_text(encoding="utf-8")

    def trial(self, number: int) -> RunFolder:
        """The run of a trial."""
        return RunFolder(self.path / f"trial-{number:04d}")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside, no other process gives out trials of this folder or writes its results."""
        with FileLock(self._locks / "sweep.lock"):
            yield

    def lock(self, number: int) -> FileLock | None:
        """Locked by the process that works on the trial; None if another holds it. A killed process leaves none."""
        lock = FileLock(self._locks / f"trial-{number:04d}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            return None
        try:
            if self.trial(number).config.is_file():
                with self.trial(number).locked():  # `zoo run --resume` may be at it
                    return lock
        except NameTaken:
            lock.release()
            return None
        return lock


def without_password(storage: str) -> str:
    """``storage`` as it may be shown and kept."""
    password = urlsplit(storage).password
    return storage.replace(f":{password}@", ":***@") if password else storage


def database_of(folder: SweepFolder) -> str:
    """The embedded default: a file of SQLite."""
    return f"sqlite:///{folder.database.resolve()}"


def find_sweep(given: str) -> SweepFolder:
    """The sweep in the folder ``given``, or for ``last`` the one below the working folder that began last.

    Raises:
        BadSetting: if there is none.
    """
    if given == "last":
        began = [path.parent for path in SWEEPS.glob("*/*/sweep.yaml")]
        if not began:
            raise BadSetting(f"no sweep lies below {SWEEPS} here.", "Name its folder, or begin one: zoo sweep RECIPE")
        return SweepFolder(max(began, key=_at_work))
    if not (Path(given) / "sweep.yaml").is_file():
        raise BadSetting(
            f"{given} is no sweep's folder: it holds no sweep.yaml.", f"`ls {SWEEPS}` shows where sweeps lie."
        )
    return SweepFolder(Path(given))


def _at_work(sweep: Path) -> float:
    return max(path.stat().st_mtime for path in (sweep, *sweep.iterdir()))
