"""``zoo data``"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.options import json_option, registry_option
from zoo_core.cli.table import show as show_rows
from zoo_core.errors import BadSetting, printable
from zoo_core.terminal import say, say_text

if TYPE_CHECKING:
    from zoo_core.registry.task import Finding
    from zoo_core.tools.data.check import Checked
    from zoo_core.tools.data.source import Source
    from zoo_core.tools.data.stats import Stats

_IMAGES = (".png", ".jpg", ".jpeg")
_SHOWN = 20  # shapes in a table


def source_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says which data are meant."""
    for add in (
        registry_option,
        click.option("--task", help="The task of a folder, if several fit; `zoo list tasks` shows them."),
        click.argument("arguments", metavar="[KEY=VALUE]...", nargs=-1),
        click.argument("source", metavar="FOLDER|DATASET|RECIPE"),
    ):
        function = add(function)
    return function


@click.group("data")
@common_options
def command() -> None:
    """Check, describe and show the data of a folder, a dataset or a recipe.

    \b
    zoo data check cells/
    zoo data stats camvid/ --json
    zoo data show mask-folder folder=cells augmentation=microscopy -o sheet.png
    """


@command.command()
@source_arguments
@json_option
@common_options
def check(source: str, arguments: tuple[str, ...], task: str | None, registry: tuple[Path, ...], as_json: bool) -> int:
    """List all faults that a training would find: unreadable files, missing partners, other sizes, wrong values.

    All files are read, which is cached. The exit code is 1 if there is a fault.
    """
    catalog = open_catalog(registry)
    from zoo_core.tools.data.check import check as check_data

    checked = check_data(source, arguments, catalog, task)
    if as_json:
        say_text(json.dumps(_checked_in_json(source, checked), indent=2))
    else:
        _show_checked(source, checked)
    return 1 if checked.faults else 0


@command.command()
@source_arguments
@click.option(
    "--examples", type=click.IntRange(1), default=1000, show_default=True, help="Most examples of a split to read."
)
@json_option
@common_options
def stats(
    source: str,
    arguments: tuple[str, ...],
    task: str | None,
    registry: tuple[Path, ...],
    examples: int,
    as_json: bool,
) -> None:
    """Describe the examples: counts, sizes, intensities, and classes with the sizes of their objects.

    Sizes are those of the examples, after the resizing of the dataset; random transforms are left out.
    """
    opened = _opened(source, arguments, task, registry)
    from zoo_core.tools.data.stats import compute

    computed = compute(opened, examples)
    if as_json:
        say_text(json.dumps(computed.as_json(opened), indent=2))
        return
    _show_finding(source, opened.finding)
    _show_stats(opened, computed)


@command.command()
@source_arguments
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The picture; by default sheet.png.")
@click.option("--overwrite", is_flag=True, help="Overwrite an existing file.")
@click.option("--examples", type=click.IntRange(1, 100), default=8, show_default=True, help="Examples to show.")
@click.option("--draws", type=click.IntRange(0, 12), default=4, show_default=True, help="Random draws of each.")
@common_options
def show(
    source: str,
    arguments: tuple[str, ...],
    task: str | None,
    registry: tuple[Path, ...],
    output: Path | None,
    overwrite: bool,
    examples: int,
    draws: int,
) -> None:
    """Draw a contact sheet of training examples with their masks or labels, and the frequency of the classes.

    Beside each example are several draws of it, with the random transforms of the training.
    """
    path = output or Path("sheet.png")
    _check_picture(path, overwrite)
    opened = _opened(source, arguments, task, registry)
    from zoo_core.data.image_output import not_written
    from zoo_core.files import replacing
    from zoo_core.tools.data.sheet import draw_sheet
    from zoo_core.tools.data.stats import compute

    computed = compute(opened, 200, ["train"])
    rows = [row for one in list(computed.classes.values())[:1] for row in one.rows(opened.class_names)]
    title = f"{source}: training examples" + (f"; classes of {_of_all(computed)}" if rows else "")
    sheet = draw_sheet(opened, rows, title, examples, draws)
    try:
        with replacing(path, ending=path.suffix) as temporary:
            sheet.save(temporary)
    except OSError as error:
        raise not_written(path, error) from error
    _show_finding(source, opened.finding)
    _show_classes(opened, computed)
    say(f"wrote {path}", err=True)


def _of_all(computed: Stats) -> str:
    """How many training examples were read, such as ``200 of 4,000``."""
    read, count = computed.read["train"], computed.counts["train"]
    return f"{read:,} of {count:,}" if count and count > read else f"{read:,}"


def _opened(source: str, arguments: tuple[str, ...], task: str | None, registry: tuple[Path, ...]) -> Source:
    catalog = open_catalog(registry)
    from zoo_core.tools.data.source import open_source

    opened = open_source(source, arguments, catalog, task)
    opened.open_splits()
    return opened


def _check_picture(path: Path, overwrite: bool) -> None:
    from zoo_core.tools.output_names import check_file_name

    if path.suffix.lower() not in _IMAGES:
        raise BadSetting(f"{path} should end in .png or .jpg.", "Write for example -o sheet.png")
    check_file_name(str(path), overwrite=overwrite)


def _show_finding(source: str, finding: Finding | None) -> None:
    if finding is None:
        return
    say(f"{source}: {finding.summary}")
    for line in (*finding.details, *(f"left out: {line}" for line in finding.left_out)):
        say(f"  {line}")


def _show_checked(source: str, checked: Checked) -> None:
    _show_finding(source, checked.source.finding if checked.source else None)
    for note in checked.notes:
        say(f"note: {note}")
    hint = None
    for fault in checked.faults:
        say(f"fault: {fault.message}")
        for file in fault.files if len(fault.files) > 1 else ():
            say(f"    {file}")
        if fault.hint and fault.hint != hint:
            say(f"  {fault.hint}")
        hint = fault.hint
    read = [f"{checked.files:,} files"] * bool(checked.files) + [f"{checked.examples:,} examples"] * bool(
        checked.examples
    )
    number = len(checked.faults)
    found = f"{number:,} fault{'s' * (number != 1)}" if number else "no faults"
    say(f"{source}: {found} in {' and '.join(read) or 'what could be read'}")
    if number and checked.source is None:
        say("  The last one ended the check. Correct them, and check again.")


def _checked_in_json(source: str, checked: Checked) -> dict[str, Any]:
    finding = checked.source.finding if checked.source else None
    return {
        "source": source,
        "found": [finding.summary, *finding.details] if finding else [],
        "left_out": list(finding.left_out) if finding else [],
        "examples": checked.counts,
        "files_checked": checked.files,
        "notes": checked.notes,
        "faults": [{"message": one.message, "hint": one.hint, "files": list(one.files)} for one in checked.faults],
    }


def _show_stats(opened: Source, computed: Stats) -> None:
    show_rows(
        [
            {"split": split, "examples": "endless" if count is None else f"{count:,}", "read": computed.read[split]}
            for split, count in computed.counts.items()
        ],
        as_json=False,
    )
    for name, one in computed.intensities.items():
        found = one.described()
        shapes = found.pop("shapes")
        say("", name)
        for shape in shapes[:_SHOWN]:
            say(f"  shape {' x '.join(map(str, shape['shape']))}: {shape['examples']:,} examples")
        if len(shapes) > _SHOWN:
            say(f"  and {len(shapes) - _SHOWN} more shapes")
        percentiles = ", ".join(f"{key} % {value:g}" for key, value in found.pop("percentiles").items())
        for key, value in found.items():
            say(f"  {key}: {_listed(value)}")
        say(f"  percentiles: {percentiles}")
    _show_classes(opened, computed)
    for name, text in computed.others.items():
        say("", f"{name}: {text}")


def _listed(value: Any) -> str:
    return " ".join(f"{one:g}" for one in value) if isinstance(value, list) else f"{value:g}"


def _show_classes(opened: Source, computed: Stats) -> None:
    for name, one in computed.classes.items():
        say("", f"{name}, in {sum(computed.read.values()):,} examples")
        show_rows([_class_row(row) for row in one.rows(opened.class_names)], as_json=False)


def _class_row(row: dict[str, Any]) -> dict[str, str]:
    shown = {key: f"{value:,}" if isinstance(value, int) else printable(str(value)) for key, value in row.items()}
    shown["fraction"] = f"{row['fraction']:.2%}"
    if "object_sizes" in row:
        sizes: Sequence[int] = row["object_sizes"]
        shown["object_sizes"] = "/".join(map(str, sizes))
    renamed = {"object_sizes": "object pixels (min/25 %/median/75 %/max)"}
    return {renamed.get(key, key): value for key, value in shown.items()}
