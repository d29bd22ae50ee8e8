"""Requirements of an export, checked before anything heavy is imported: format, output file and packages."""

from __future__ import annotations

from pathlib import Path

from zoo_core.errors import BadFile, BadSetting
from zoo_core.tools import extras

EXTENSIONS = {"onnx": ".onnx", "torch-export": ".pt2"}
_PACKAGES = {"onnx": ("onnx", "onnxruntime", "onnxscript"), "torch-export": ()}


def format_of(output: Path | None, format: str | None) -> str:
    """The format that is given, or that of the file extension; ONNX if there is neither.

    Raises:
        BadSetting: if the extension is unknown, or belongs to another format than the one given.
    """
    if output is None:
        return format or "onnx"
    by_extension = next((name for name, extension in EXTENSIONS.items() if output.suffix == extension), None)
    if by_extension is None or format not in (None, by_extension):
        expected = " or ".join([EXTENSIONS[format]] if format else EXTENSIONS.values())
        raise BadSetting(
            f"{output} should end in {expected}.", f"Write -o {output.stem or 'model'}{EXTENSIONS[format or 'onnx']}"
        )
    return by_extension


def check_packages(format: str) -> None:
    """Check that the packages that the format needs from the extra ``export`` are installed.

    Raises:
        ZooError: if a package is missing.
    """
    hint = "Type: pip install 'zoo-core[export]', or choose --format torch-export, which needs no other packages."
    extras.check_packages("an ONNX file", _PACKAGES[format], hint)


def check_free(output: Path) -> None:
    """Check that ``output`` does not exist, and that its folder does.

    Raises:
        BadFile: if not.
    """
    if output.exists() or output.is_symlink():
        raise BadFile(f"{output} already exists, and is not overwritten.", "Choose another -o FILE, or delete it.")
    if not output.parent.is_dir():
        raise BadFile(f"the folder {output.parent} does not exist.", f"Create it first: mkdir -p {output.parent}")
