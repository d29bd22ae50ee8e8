"""What is asked of an export before anything heavy is imported: a format, a file that is free, the packages for it."""

from __future__ import annotations

from pathlib import Path

from zoo_core.errors import BadFile, BadSetting
from zoo_core.tools import extras

ENDINGS = {"onnx": ".onnx", "torch-export": ".pt2"}
_PACKAGES = {"onnx": ("onnx", "onnxruntime", "onnxscript"), "torch-export": ()}


def format_of(output: Path | None, asked: str | None) -> str:
    """The format that is asked for, or that the file's ending says; ONNX where nothing says it.

    Raises:
        BadSetting: if the ending is none, or that of another format than the one asked for.
    """
    if output is None:
        return asked or "onnx"
    said = next((name for name, ending in ENDINGS.items() if output.suffix == ending), None)
    if said is None or asked not in (None, said):
        wanted = " or ".join([ENDINGS[asked]] if asked else ENDINGS.values())
        raise BadSetting(
            f"{output} should end in {wanted}.", f"Write -o {output.stem or 'model'}{ENDINGS[asked or 'onnx']}"
        )
    return said


def check_packages(format: str) -> None:
    """Refuse to begin without what the format needs of the extra ``export``.

    Raises:
        ZooError: if a package is missing.
    """
    hint = "Type: pip install 'zoo-core[export]', or choose --format torch-export, which needs nothing more."
    extras.check_packages("an ONNX file", _PACKAGES[format], hint)


def check_free(output: Path) -> None:
    """Refuse to write over a file, or into a folder that is not there.

    Raises:
        BadFile: if there is one of that name, or no folder for it.
    """
    if output.exists() or output.is_symlink():
        raise BadFile(f"{output} is there already, and is not overwritten.", "Choose another -o FILE, or delete it.")
    if not output.parent.is_dir():
        raise BadFile(f"the folder {output.parent} does not exist.", f"Make it first: mkdir -p {output.parent}")
