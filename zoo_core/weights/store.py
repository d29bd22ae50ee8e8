"""From a name, a run's folder or a file to a model with its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo_core.catalog import Catalog
from zoo_core.errors import BadFile, BadSetting, UnknownName, did_you_mean
from zoo_core.folder import RunFolder
from zoo_core.model import Model
from zoo_core.settings import read
from zoo_core.weights.format import read_story, read_tensors, sha256


def load(source: str | Path, catalog: Catalog) -> Model:
    """The model that ``source`` holds, in eval mode on the CPU. See :func:`zoo_core.load`."""
    path = locate(source, catalog)
    story = read_story(path)
    # A header names a registered model, never an import path: only code of installed plugins can run.
    name, settings = str(story.get("model")), story.get("config")
    entry = catalog.find("model", name)
    model_class = entry.load()
    try:
        config = read(model_class.Config, settings if isinstance(settings, dict) else {}, f"model '{name}'", "model")
    except BadSetting as error:
        raise BadFile(
            f"{path}: {error.problem}", f"It was written by {story.get('versions')}; update the plugin."
        ) from error
    model: Model = model_class(config)
    _fill(model, path)
    return model.eval()


def locate(source: str | Path, catalog: Catalog) -> Path:
    """The weights file of a run's folder, a path, or a published name, whose SHA-256 is checked.

    Raises:
        UnknownName: if it is none of the three.
        BadFile: if a published file is not the one that was published, or a run has no result yet.
    """
    path = Path(source)
    if path.is_dir():
        folder = RunFolder(path)
        if not folder.weights.is_file():
            raise BadFile(
                f"{path} holds no {folder.weights.name}.",
                f"If its run was killed, go on: zoo run --resume {path}",
            )
        return folder.weights
    if path.is_file():
        return path
    published = catalog.recipes.weights()
    if str(source) not in published:
        looks_like_path = path.suffix or len(path.parts) > 2
        problem = f"{source} does not exist." if looks_like_path else f"no weights are called '{source}'."
        known = did_you_mean(
            str(source), published, "Give a run's folder, a .safetensors file, or a name: `zoo list weights`."
        )
        raise UnknownName(problem, known)
    _, listed_in, entry = published[str(source)]
    file = listed_in.parent / str(entry.get("location"))
    if not file.is_file():
        raise BadFile(f"weights '{source}': {file} does not exist.", "Reinstall the plugin that brings it.")
    if sha256(file) != entry.get("sha256"):
        raise BadFile(
            f"weights '{source}': {file} has sha256 {sha256(file)}, but should have {entry.get('sha256')}.",
            "Reinstall the plugin that brings it.",
        )
    return file


def _fill(model: Model, path: Path) -> None:
    tensors: dict[str, Any] = read_tensors(path)
    wanted = model.state_dict()
    for name in wanted:
        if name not in tensors:
            raise BadFile(f"{path} lacks '{name}' {tuple(wanted[name].shape)}, which {type(model).__name__} has.")
        if tensors[name].shape != wanted[name].shape:
            held, expected = tuple(tensors[name].shape), tuple(wanted[name].shape)
            raise BadFile(f"{path}: '{name}' has shape {held}, but {type(model).__name__} has {expected}.")
    surplus = sorted(set(tensors) - set(wanted))
    if surplus:
        raise BadFile(f"{path} has '{surplus[0]}', which {type(model).__name__} does not have.")
    model.load_state_dict(tensors)
