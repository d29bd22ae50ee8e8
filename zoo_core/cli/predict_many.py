"""``zoo predict`` of many files"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo_core.engine.shutdown import Work, working
from zoo_core.errors import BadSetting, RunFailed
from zoo_core.model import Model
from zoo_core.registry.catalog import Catalog
from zoo_core.terminal import say
from zoo_core.tools.output_names import TABLES, is_folder_name
from zoo_core.tools.predict_many.arguments import FileArgument
from zoo_core.tools.predict_many.inputs import find_inputs
from zoo_core.tools.predict_many.output import FolderOutput, Lines, Output, TableFile
from zoo_core.tools.predict_many.run import Prediction, summary


def predict_files(
    model: Model,
    argument: FileArgument,
    given: object,
    fixed: Mapping[str, Any],
    source: str | Path,
    catalog: Catalog,
    output: str | None,
    ending: str,
    overwrite: bool,
    batch_size: int,
    workers: int,
) -> int:
    """Predict for all files that an argument names; returns the exit code.

    Raises:
        RunFailed: if a file fails; the others are predicted all the same.
    """
    place = _output(output, ending, overwrite)
    folder = place.folder if isinstance(place, FolderOutput) else None
    found = find_inputs(argument, given, folder)
    if found.left_out:
        say(f"left out: {found.left_out}", err=True)
    about = {"weights": _sha256(source, catalog), "arguments": {key: repr(value) for key, value in fixed.items()}}
    with place.opened(about, found.files):
        prediction = Prediction(model, argument, fixed, place)
        with working(Work(last_words=lambda name: _last_words(name, prediction, len(found.files), output))):
            outcome = prediction.run(found.files, batch_size=batch_size, workers=workers)
    for note in place.notes:
        say(f"note: {note}", err=True)
    say(summary(outcome, place.place), err=True)
    if outcome.failed:
        raise RunFailed(
            f"{len(outcome.failed):,} of {len(found.files):,} files failed.",
            "They are named above. The same command tries them again" + (", and no others." if output else "."),
        )
    return 0


def _output(output: str | None, ending: str, overwrite: bool) -> Output:
    if output is None:
        return Lines()
    path = Path(output)
    if is_folder_name(output):
        return FolderOutput(path, ending, overwrite=overwrite)
    if path.suffix.lower() in TABLES:
        return TableFile(path, overwrite=overwrite)
    raise BadSetting(
        f"{output} is one file, but the predictions of many files go into a folder, or a table.",
        f"Write for example -o {path.with_suffix('')}/ --format {path.suffix[1:]}, or -o {path.with_suffix('.csv')}",
    )


def _sha256(source: str | Path, catalog: Catalog) -> str:
    from zoo_core.weights.load import find

    return find(source, catalog).sha256


def _last_words(name: str, prediction: Prediction, count: int, output: str | None) -> str:
    done = prediction.outcome.written + prediction.outcome.finished_before
    what = "interrupted" if name == "SIGINT" else f"stopped by {name}"
    kept = "; the same command goes on" if output else ""
    return f"{what}: {done:,} of {count:,} files are finished{kept}"
