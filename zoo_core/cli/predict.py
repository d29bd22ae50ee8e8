"""``zoo predict``"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.names import RecipeName
from zoo_core.config.overrides import parse_words
from zoo_core.errors import BadSetting, UnknownName
from zoo_core.registry.catalog import Catalog
from zoo_core.runs.paths import RUNS, newest_run
from zoo_core.training.error_attribution import attributing_errors
from zoo_core.training.signals import exits_on_interrupt

_PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".gif"}


@click.command("predict")
@click.argument("source", metavar="RECIPE|RUN_DIR|FILE", type=RecipeName())
@click.argument("inputs", metavar="[KEY=VALUE]...", nargs=-1)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="A picture (.png), clip (.gif), array (.npy) or .json; otherwise values are printed.",
)
@common_options
def command(source: str, inputs: tuple[str, ...], output: Path | None) -> None:
    """Use the model that SOURCE holds: the newest run of a recipe below runs/, else the published weights of that name;
    a run's folder; or a weights file.

    \b
    zoo predict clsgan-mnist labels=[5,5,5,5] seed=1 -o fives.png
    """
    values = parse_words(inputs)
    here = open_catalog()
    chosen = _newest(source, here)

    with exits_on_interrupt():
        from zoo_core.weights.load import load

        model, _ = load(chosen, here)
    _refuse_misfit(model, values)
    with attributing_errors({f"the model {type(model).__name__}": type(model)}):
        predicted = model.predict(**values)
    click.echo(f"{source}: {chosen}", err=True)
    _write(predicted, output)


def _newest(source: str, here: Catalog) -> str | Path:
    """The newest finished run of a recipe, where ``source`` names one; else ``source`` itself."""
    path = Path(source)
    if path.exists() or source in here.weights or path.suffix == ".safetensors" or len(path.parts) > 2:
        run = newest_run(source) if not Path(source).exists() else None
        return run or source
    name = here.recipe(source).name
    run = newest_run(name)
    if run is None:
        raise UnknownName(
            f"recipe '{name}' has no finished run below {RUNS / name}.", f"Train it first: zoo run {name}"
        )
    return run


def _write(predicted: dict[str, Any], output: Path | None) -> None:
    from zoo_core.data.image_output import can_be_drawn

    drawn = {name: value for name, value in predicted.items() if can_be_drawn(value)}
    plain = {name: _plain(value) for name, value in predicted.items() if name not in drawn}
    if output is None:
        if drawn:
            raise BadSetting(
                "the model predicts a picture, and no file is given for it.", "Add for example -o digits.png"
            )
        click.echo(json.dumps(plain))
    elif output.suffix == ".json":
        output.write_text(json.dumps({name: _plain(value) for name, value in predicted.items()}) + "\n")
        click.echo(f"wrote {output}", err=True)
    elif output.suffix.lower() not in (*_PICTURES, ".npy"):
        raise BadSetting(f"{output} should end in .png, .gif, .npy or .json.", "Write for example -o digits.png")
    elif not drawn:
        raise BadSetting(
            f"{output} should be a picture, but the model predicts {', '.join(predicted)}.", "Choose a .json file."
        )
    else:
        first, *others = drawn
        _draw(drawn[first], output)
        for name in others:
            _draw(drawn[name], output.with_stem(f"{output.stem}-{name}"))


def _draw(value: Any, path: Path) -> None:
    from zoo_core.data import image_output as pictures

    if path.suffix.lower() == ".npy":
        pictures.save_array(value, path)
    elif value.ndim == 2:
        pictures.save_classes(value, path)
    elif value.ndim == 5 and path.suffix.lower() == ".gif":
        pictures.save_clips(value, path)
    else:
        pictures.save(value, path, columns=10)
    click.echo(f"wrote {path}", err=True)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _refuse_misfit(model: Any, values: dict[str, Any]) -> None:
    """Raises BadSetting for what ``model.predict`` does not take: other names, or other plain types than it says."""
    import inspect

    from zoo_core.config.types import Refused, article, convert, is_supported, type_name

    signature = inspect.signature(model.predict)
    takes = f"It takes: {', '.join(signature.parameters)}."
    if not signature.parameters:
        raise BadSetting(f"{type(model).__name__} offers no predictions.", takes)
    try:
        signature.bind(**values)
    except TypeError as error:
        raise BadSetting(f"{type(model).__name__}.predict does not fit: {error}", takes) from error
    try:
        hints = inspect.get_annotations(type(model).predict, eval_str=True)
    except (NameError, AttributeError):  # annotations that only a type checker understands
        hints = {}
    for name, value in values.items():
        hint = hints.get(name, Any)
        if is_supported(hint) and isinstance(convert(value, hint), Refused):
            raise BadSetting(f"{name} is {value!r}, but should be {article(type_name(hint))}.", takes)
