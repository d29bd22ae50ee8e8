"""``plan.yaml``: a planned recipe as a file that ``zoo run --config`` reads, with a comment for each choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zoo_core.config.command_line import zoo_command
from zoo_core.config.recipe import Recipe
from zoo_core.config.recipe_files import PARTS
from zoo_core.config.yaml_reader import as_text
from zoo_core.errors import BadFile, NameTaken, ZooError, in_yaml
from zoo_core.files import write_atomically
from zoo_core.tools.fit.plan import Planned

PLAN = "plan.yaml"
_COLUMN = 40  # of the comments


def refuse_taken(path: Path) -> None:
    """Raise NameTaken if there is such a file."""
    if path.exists():
        raise NameTaken(f"{path} exists, and nothing is overwritten.", "Rename it, or choose another file with -o.")


def write_plan(planned: Planned, path: Path) -> None:
    """Write the file.

    Raises:
        BadFile: if it can't be written.
        NameTaken: if there is one.
    """
    refuse_taken(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, as_plan(planned, path).encode())
    except OSError as error:
        raise BadFile(f"{path} can't be written: {error.strerror}.", "Choose another file with -o.") from error


@contextmanager
def written_plan(planned: Planned, path: Path) -> Iterator[None]:
    """In this context, the file is there; it stays, unless the context ends with exit code 2: then nothing is written.

    Raises:
        BadFile: if it can't be written.
        NameTaken: if there is one.
    """
    created = [folder for folder in path.absolute().parents if not folder.exists()]
    write_plan(planned, path)
    try:
        yield
    except ZooError as error:
        if error.exit_code == ZooError.exit_code:
            path.unlink(missing_ok=True)
            for folder in created:
                with suppress(OSError):  # somebody has put something there
                    folder.rmdir()
        raise


def as_plan(planned: Planned, path: Path) -> str:
    """The text of the file."""
    finding, recipe = planned.recognized.finding, planned.recipe
    about = [
        f"{planned.recognized.folder}: {finding.summary}",
        *finding.details,
        *(f"left out: {line}" for line in finding.left_out),
        f"Train it with: {zoo_command(f'run --config {path}')}",
    ]
    head = "".join(f"# {line}\n" for line in about)
    return head + as_text({"recipe": recipe.name, "summary": recipe.summary}) + _parts(recipe, planned.reasons)


def _parts(recipe: Recipe, reasons: Mapping[str, str]) -> str:
    lines = []
    for part in (*PARTS, "run"):
        lines += [f"{part}:"] if part in recipe.values else []
        for key, value in recipe.values.get(part, {}).items():
            lines += _setting(key, value, reasons.get(f"{part}.{key}"))
    return "\n".join(lines) + "\n"


def _setting(key: str, value: Any, reason: str | None) -> list[str]:
    """The lines of a setting, with its reason behind the first one; a list of numbers takes one line."""
    numbers = isinstance(value, (list, tuple)) and all(isinstance(one, (int, float)) for one in value)
    text = f"{key}: {in_yaml(value)}" if numbers else as_text({key: value})
    first, *rest = (f"  {line}" for line in text.splitlines())
    return [f"{first:<{_COLUMN}} # {reason}" if reason else first, *rest]
