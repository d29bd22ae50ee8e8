"""``zoo predict``"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.names import RecipeName
from zoo_core.cli.options import registry_option
from zoo_core.config.arguments import interpret, parse_arguments
from zoo_core.config.command_line import zoo_command
from zoo_core.config.word import Word
from zoo_core.errors import BadSetting, UnknownName
from zoo_core.registry.catalog import Catalog
from zoo_core.runs.paths import RUNS, newest_run
from zoo_core.training.error_attribution import attributing_errors


@click.command("predict")
@click.argument("source", metavar="RECIPE|RUN_DIR|FILE", type=RecipeName())
@click.argument("inputs", metavar="[KEY=VALUE]...", nargs=-1)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Image (.png), clip (.gif), array (.npy), text (.txt), table (.csv), sound (.wav) or .json file; by default, "
    "texts, tables and plain values are printed.",
)
@registry_option
@common_options
def command(source: str, inputs: tuple[str, ...], output: Path | None, registry: tuple[Path, ...]) -> None:
    """Predict with a trained model.

    The model is that of the newest run of RECIPE in ./runs, or else the published weights of that name; that of the
    run in RUN_DIR; or that of a weights FILE.

    \b
    zoo predict clsgan-mnist labels=[5,5,5,5] seed=1 -o fives.png
    """
    words = parse_arguments(inputs)
    catalog = open_catalog(registry)
    chosen = _newest(source, catalog)

    from zoo_core.data.values import as_prediction
    from zoo_core.weights.load import load

    model, _ = load(chosen, catalog)
    values = _interpret(model, words)
    model_name = f"the model {type(model).__name__}"
    with attributing_errors({model_name: type(model)}):
        predicted = as_prediction(model.predict(**values), f"predict of {model_name}")
    if source != str(chosen):
        click.echo(f"{source}: {chosen}", err=True)
    _write(predicted, output)


def _newest(source: str, catalog: Catalog) -> str | Path:
    """The newest finished run of a recipe, if ``source`` is a recipe; else ``source`` itself."""
    path = Path(source)
    if path.exists() or source in catalog.weights or path.suffix == ".safetensors" or len(path.parts) > 2:
        run = newest_run(source) if not Path(source).exists() else None
        return run or source
    name = catalog.recipe(source).name
    run = newest_run(name)
    if run is None:
        raise UnknownName(
            f"recipe '{name}' has no finished run in {RUNS / name}.", f"Train it first: {zoo_command(f'run {name}')}"
        )
    return run


def _write(predicted: dict[str, Any], output: Path | None) -> None:
    from zoo_core.tools.prediction import printed, write_prediction

    if output is None:
        click.echo(printed(predicted))
        return
    for path, replaced in write_prediction(predicted, output):
        click.echo(f"{'replaced' if replaced else 'wrote'} {path}", err=True)


def _interpret(model: Any, words: Mapping[str, Word]) -> dict[str, Any]:
    """The arguments of ``model.predict``, as its annotations say.

    Raises:
        BadSetting: if it does not accept these names, or values of these types.
    """
    import inspect

    from zoo_core.config.types import Refused, article, type_name
    from zoo_core.errors import in_yaml

    signature = inspect.signature(model.predict)
    listed = ", ".join(signature.parameters)
    accepted = f"Its arguments are: {listed}." if listed else "It takes no arguments."
    try:
        signature.bind(**words)
    except TypeError as error:
        raise BadSetting(f"{type(model).__name__}.predict can't be called: {error}.", accepted) from error
    try:
        hints = inspect.get_annotations(type(model).predict, eval_str=True)
    except (NameError, AttributeError):  # names that are imported for type checkers only
        hints = {}
    values = {name: interpret(word, hints.get(name, Any)) for name, word in words.items()}
    for name, value in values.items():
        if isinstance(value, Refused):
            expected = article(type_name(hints[name]))
            raise BadSetting(f"{name} is {in_yaml(words[name].value)}, but should be {expected}.", accepted)
    return values
