"""``zoo predict``"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo_core.cli import common_options, open_catalog
from zoo_core.cli.names import RecipeName
from zoo_core.cli.options import registry_option
from zoo_core.config.arguments import as_paths, as_words, interpret, split_arguments
from zoo_core.config.command_line import zoo_command
from zoo_core.errors import BadSetting, UnknownName
from zoo_core.registry.catalog import Catalog
from zoo_core.runs.paths import RUNS, newest_run
from zoo_core.terminal import say, say_text
from zoo_core.tools.output_names import ENDINGS, check_declared, check_file_name, check_folder_name, is_folder_name
from zoo_core.training.error_attribution import attributing_errors, defined_at

if TYPE_CHECKING:
    from zoo_core.tools.predict_many.arguments import FileArgument


@click.command("predict")
@click.argument("source", metavar="RECIPE|RUN_DIR|FILE", type=RecipeName())
@click.argument("inputs", metavar="[KEY=VALUE]...", nargs=-1)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="Image (.png, .tif), clip (.gif), array (.npy), text (.txt), table (.csv), sound (.wav) or .json file; for "
    "many files a folder, or a .csv or .json file. By default, texts, tables and plain values are printed.",
)
@click.option("--overwrite", is_flag=True, help="Overwrite existing files.")
@click.option(
    "--format",
    "ending",
    metavar="ENDING",
    help="Ending of the files in a folder, such as npy; by default that of the kind of the prediction.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps, xpu, or auto.")
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=16,
    show_default=True,
    help="Files that are predicted at once, if the model can.",
)
@click.option(
    "--workers", type=click.IntRange(1), default=2, show_default=True, help="Threads that read ahead of the model."
)
@registry_option
@common_options
def command(
    source: str,
    inputs: tuple[str, ...],
    output: str | None,
    overwrite: bool,
    ending: str | None,
    device: str,
    batch_size: int,
    workers: int,
    registry: tuple[Path, ...],
) -> int:
    """Predict with a trained model.

    The model is that of the newest run of RECIPE in ./runs, or else the published weights of that name; that of the
    run in RUN_DIR; or that of a weights FILE.

    \b
    zoo predict clsgan-mnist labels=[5,5,5,5] seed=1 -o fives.png
    zoo predict unet-digit-scenes image=photo.png -o mask.png
    zoo predict unet-digit-scenes images=photos/ -o masks/        # or '*.png', or list.txt

    The plural of an argument that is a file takes many files. What is finished is not computed again by a second call.
    """
    texts = split_arguments(inputs)
    is_folder = output is not None and is_folder_name(output)
    ending = _ending(ending, output, is_folder)
    if output is not None:
        check_folder_name(output) if is_folder else check_file_name(output, overwrite=overwrite)
    catalog = open_catalog(registry)
    chosen = _newest(source, catalog)

    from zoo_core.tools.predict_many.arguments import file_arguments
    from zoo_core.weights.load import load

    model, _ = load(chosen, catalog, device)
    files = file_arguments(model)
    several = {one.plural: one for one in files.values() if one.plural in texts}
    asked = " or ".join(f"{one.plural}=FOLDER" for one in files.values() if one.is_asked and one.plural)
    if unasked := [one for one in several.values() if not one.is_asked]:
        raise BadSetting(
            f"{unasked[0].plural} is given, which {type(model).__name__} with these weights does not predict from.",
            f"Write {asked or model.usage()}.",
        )
    if several:
        from zoo_core.cli.predict_many import predict_files

        argument = next(iter(several.values()))
        if argument.name in texts:
            raise BadSetting(
                f"{argument.plural} and {argument.name} are given, but the one names many files and the other one.",
                "Leave one of them out.",
            )
        given = as_paths(texts.pop(argument.plural))
        values = _interpret(model, texts, files, argument.name)
        if output is not None:
            check_declared(model.outputs, ending or ("" if is_folder else Path(output).suffix.lower()), output)
        if source != str(chosen):
            say(f"{source}: {chosen}", err=True)
        return predict_files(
            model, argument, given, values, chosen, catalog, output, ending, overwrite, batch_size, workers
        )
    interpreted = _interpret(model, texts, files)
    if is_folder and output is not None:
        raise BadSetting(
            f"{output} is a folder, which is for the predictions of many files.",
            f"Write for example {asked}." if asked else f"Give a file, for example -o {output.rstrip('/')}.png",
        )
    _predict_once(model, interpreted, output, overwrite)
    if source != str(chosen):
        say(f"{source}: {chosen}", err=True)
    return 0


def _ending(given: str | None, output: str | None, is_folder: bool) -> str:
    """The ending of the files in a folder; empty if it is not given."""
    if given is None:
        return ""
    ending = f".{given.lower().lstrip('.')}"
    if ending not in ENDINGS:
        raise BadSetting(
            f"--format is '{given}', but should be one of {', '.join(one[1:] for one in ENDINGS)}.",
            "Write for example --format npy",
        )
    if not is_folder:
        place = f"{output} has an ending of its own" if output else "nothing is written without -o"
        raise BadSetting(f"--format is for the files in a folder, but {place}.", "Write for example -o predictions/")
    return ending


def _newest(source: str, catalog: Catalog) -> str | Path:
    """The newest finished run of a recipe, if ``source`` is a recipe; else ``source`` itself."""
    path = Path(source)
    if path.exists() or source in catalog.weights or path.suffix == ".safetensors" or len(path.parts) > 2:
        run = newest_run(source) if not Path(source).exists() else None
        return run or source
    run = newest_run(source)  # also of a plan of `zoo fit`, which is no recipe of the catalog
    if run is not None:
        return run
    name = catalog.recipe(source).name
    run = newest_run(name)
    if run is None:
        raise UnknownName(
            f"recipe '{name}' has no finished run in {RUNS / name}.", f"Train it first: {zoo_command(f'run {name}')}"
        )
    return run


def _predict_once(model: Any, values: dict[str, Any], output: str | None, overwrite: bool) -> None:
    from zoo_core.data.values import as_prediction
    from zoo_core.tools.prediction import printed, write_prediction

    if output is not None:
        check_declared(model.outputs, Path(output).suffix.lower(), output)
    model_name = f"the model {type(model).__name__}"
    with attributing_errors({model_name: type(model)}):
        source = f"predict of {model_name}{defined_at(type(model).predict)}"
        predicted = as_prediction(model.predict(**values), source)
    if output is None:
        say_text(printed(predicted))
        return
    for path, replaced in write_prediction(predicted, Path(output), overwrite=overwrite):
        say(f"{'replaced' if replaced else 'wrote'} {path}", err=True)


def _interpret(
    model: Any, texts: Mapping[str, str], files: dict[str, FileArgument], elsewhere: str = ""
) -> dict[str, Any]:
    """The arguments of ``model.predict``, as its annotations say; the argument ``elsewhere`` is given otherwise.

    Raises:
        BadSetting: if it does not accept these names, or values of these types.
    """
    import inspect

    from zoo_core.config.types import Refused, article, type_name
    from zoo_core.errors import in_yaml

    signature = inspect.signature(model.predict)
    listed = ", ".join(signature.parameters)
    many = "".join(f"; for many files, {one.plural}=FOLDER" for one in files.values() if one.plural and one.is_asked)
    many = many if files else "; none of them is a file"
    accepted = f"Its arguments are: {listed}{many}." if listed else "It takes no arguments."
    try:
        signature.bind_partial(**texts)  # a name that is not known is said rather than one that is missing
        signature.bind(**texts, **dict.fromkeys([elsewhere] if elsewhere else []))
    except TypeError as error:
        raise BadSetting(f"{type(model).__name__}.predict can't be called: {error}.", accepted) from error
    try:
        hints = inspect.get_annotations(type(model).predict, eval_str=True)
    except (NameError, AttributeError):  # names that are imported for type checkers only
        hints = {}
    words = as_words(texts)
    values = {
        name: as_paths(texts[name]) if name in files else interpret(word, hints.get(name, Any))
        for name, word in words.items()
    }
    for name, value in values.items():
        if name in files and isinstance(value, str) and os.path.isdir(value) and files[name].kind != "video":
            plural = f"Write {files[name].plural}={value} for all files in it." if files[name].plural else None
            raise BadSetting(f"{name} is {value}, a folder, but should be a file.", plural)
        if isinstance(value, Refused):
            expected = article(type_name(hints[name]))
            raise BadSetting(f"{name} is {in_yaml(words[name].value)}, but should be {expected}.", accepted)
    return values
