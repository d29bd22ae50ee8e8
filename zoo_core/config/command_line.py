"""Commands that messages tell the user to type, with the options that every command of this session needs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from shlex import quote

# Lists of paths, separated as in PATH, to which `zoo --plugin` and the option --registry add. The processes that a
# command starts inherit them.
PLUGIN_FILES, REGISTRY_FILES = "ZOO_PLUGIN_FILES", "ZOO_REGISTRY_FILES"
LAUNCHER = "ZOO_LAUNCHER"  # environment variable with the process ID of the launcher
_folder: ContextVar[str | None] = ContextVar("folder", default=None)


def zoo_command(words: str) -> str:
    """``zoo WORDS``, with the plugin files and registry files that this command was given."""
    plugins, registries = (
        [quote(shown(file)) for file in listed_files(name)] for name in (PLUGIN_FILES, REGISTRY_FILES)
    )
    before = "".join(f"--plugin {file} " for file in plugins)
    return f"zoo {before}{words}" + "".join(f" --registry {file}" for file in registries)


def resume_command(run: Path, options: Iterable[str] = (), settings: Iterable[str] = ()) -> str:
    """The command that resumes the run in the folder ``run``, in as many processes as it has now."""
    words = ["run", "--resume", quote(shown(run)), *options, *map(quote, settings)]
    if LAUNCHER in os.environ:
        words.append(f"--processes {os.environ.get('WORLD_SIZE', '1')}")
    return zoo_command(" ".join(words))


def listed_files(variable: str) -> list[Path]:
    """The files in an environment variable that is a list of paths, as ``PLUGIN_FILES`` is."""
    return [Path(name) for name in filter(None, os.environ.get(variable, "").split(os.pathsep))]


@contextmanager
def shown_from_here() -> Iterator[None]:
    """Inside, :func:`shown` shows paths as the user sees them now, whatever a plugin makes the working directory."""
    try:
        before = _folder.set(_folder.get() or os.getcwd())
    except OSError:  # the working directory was deleted
        before = _folder.set(None)
    try:
        yield
    finally:
        _folder.reset(before)


def shown(file: Path) -> str:
    """The path, relative to the working directory if it is inside."""
    try:
        relative = os.path.relpath(file, _folder.get())
    except OSError:  # the working directory was deleted
        return str(file)
    return str(file) if relative.startswith("..") else relative
