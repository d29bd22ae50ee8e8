"""Write docs/plugins/reference.md from the docstrings of the public names: python scripts/make_reference.py

With --check nothing is written, and the exit code is 1 if the page is not up to date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import griffe
from griffe import DocstringSectionKind as Kind

import zoo_core as zoo
from zoo_core import testing
from zoo_core.testing.collect import all_checks

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "plugins" / "reference.md"
SECTIONS = {
    "Registration": ["Registry"],
    "Interfaces": ["Model", "Dataset", "Trainer", "Engine"],
    "Shorter forms": ["SupervisedTrainer", "InMemoryDataset"],
    "Trainings within an evaluation": ["captured_steps"],
    "Tasks of `zoo fit`": ["Task", "Finding", "Budget", "Plan"],
    "Settings": ["setting", "OptimizerConfig"],
    "Controls of `zoo demo`": ["Control"],
    "Examples and batches": ["Batch", "Examples", "InMemory", "Uint8Images", "GeneratedExamples", "data_root"],
    "Fingerprints": ["fingerprint_files", "fingerprint_tensors"],
    "Runs": ["Run", "Recipe", "Metrics"],
    "Errors": ["ZooError", "UnknownName", "NameTaken", "BadSetting", "BrokenPlugin", "BadFile", "RunFailed"],
    "Reading images": ["read_image", "read_frames", "read_mask", "clip_shape", "image_files", "natural_key", "palette"],
    "Checking images": [
        *("check_images", "ImageFacts", "check_masks", "MaskFacts", "check_clips", "ClipFacts", "report_fault"),
    ],
    "Previews and predictions": ["Table", "Audio"],
    "Functions": ["list", "info", "Info", "recipe", "build", "run", "load", "IncompatibleKeys"],
}
NOT_SHOWN = {"hookimpl"}
INTERNAL = {
    "Control": {"read"},
    "Recipe": {"run_settings", "where"},
    "Registry": {"find", "of_kind", "owned_by"},
    "Run": {"due"},
}
LITERAL = r"(?:[\"'][^\"']*[\"']|\d+)"
TITLES = {
    Kind.parameters: "Parameters",
    Kind.other_parameters: "Other parameters",
    Kind.attributes: "Attributes",
    Kind.returns: "Returns",
    Kind.yields: "Yields",
    Kind.raises: "Raises",
}


def main() -> int:
    current = page()
    if "--check" in sys.argv:
        return int(not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != current)
    PAGE.write_text(current, encoding="utf-8")
    return 0


def page() -> str:
    package = griffe.load("zoo_core", search_paths=[ROOT], resolve_aliases=True, docstring_parser="numpy")
    listed = {name for names in SECTIONS.values() for name in names} | NOT_SHOWN
    if listed != set(zoo.__all__):
        raise SystemExit(f"SECTIONS and zoo_core.__all__ differ in {sorted(listed ^ set(zoo.__all__))}.")
    parts = [
        "# Reference",
        "<!-- Generated from the docstrings by scripts/make_reference.py. -->",
        "The public interface of zoo for plugins: everything on this page, and nothing else in `zoo_core`. "
        "[Versions](managing.md#versions) says how long it is supported.",
        "## Hooks",
        *rendered(package["hookspecs"].docstring),
    ]
    hooks = [one for name, one in package["hookspecs"].functions.items() if name.startswith("zoo_")]
    parts += [text for hook in hooks for text in described(hook, hook.name)]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}")
        parts += [text for name in names for text in described(target(package[name]), f"zoo.{name}")]
    parts += ["## Checks", "`zoo check NAME` and `conformance(NAME)` in a test module run these conformance checks:"]
    parts.append("\n".join(["| check | of | guards | hint |", "| --- | --- | --- | --- |", *checks()]))
    for name in sorted(testing.__all__, key=str.swapcase):
        parts += described(target(package["testing"][name]), f"zoo_core.testing.{name}")
    return "\n\n".join(parts) + "\n"


def target(thing: griffe.Object | griffe.Alias) -> griffe.Object:
    return thing.final_target if isinstance(thing, griffe.Alias) else thing


def described(thing: griffe.Object, name: str) -> Iterator[str]:
    """A heading, the signature and the docstring; for a class also those of its methods and properties."""
    if not thing.docstring and not isinstance(thing, griffe.Attribute):
        raise SystemExit(f"{thing.path} has no docstring.")
    yield f"### `{name}`"
    yield f"```python\n{signature(thing)}\n```"
    yield from rendered(thing.docstring)
    if isinstance(thing, griffe.Class):
        internal = INTERNAL.get(thing.name, set())
        for member in thing.members.values():
            if not member.name.startswith("_") and member.name not in internal and member.docstring:
                yield f"#### `{thing.name}.{member.name}`"
                yield f"```python\n{signature(target(member))}\n```"
                yield from rendered(member.docstring)


def signature(thing: griffe.Object) -> str:
    """The line that declares a function, class or attribute."""
    if isinstance(thing, griffe.Function):
        arguments = list(written(thing.parameters))
        line = f"def {thing.name}({', '.join(arguments)}) -> {thing.returns}"
        wrapped = "\n    " + ",\n    ".join(arguments) + ",\n"
        return line if len(line) <= 100 else line.replace(", ".join(arguments), wrapped)
    if isinstance(thing, griffe.Class):
        bases = ", ".join(str(base) for base in thing.bases)
        return f"class {thing.name}({bases})" if bases else f"class {thing.name}"
    annotation = getattr(thing, "annotation", None)
    return f"{thing.name}: {annotation}" if annotation else f"{thing.name} = {getattr(thing, 'value', '')}"


def written(parameters: griffe.Parameters) -> Iterator[str]:
    """Each parameter of a function as its author wrote it, except ``self``."""
    stars = {"variadic positional": "*", "variadic keyword": "**"}
    starred = False
    for one in parameters:
        kind = one.kind.value if one.kind else ""
        if one.name in ("self", "cls"):
            continue
        if kind == "keyword-only" and not starred:
            yield "*"
        starred = starred or kind in ("keyword-only", "variadic positional")
        default = "" if one.default is None or kind in stars else f" = {one.default}"
        yield f"{stars.get(kind, '')}{one.name}: {one.annotation}{default}"


def rendered(docstring: griffe.Docstring | None) -> Iterator[str]:
    """The sections of a docstring as Markdown."""
    for section in docstring.parsed if docstring else ():
        if section.kind is Kind.text:
            yield markdown(section.value)
        elif section.kind is Kind.examples:
            yield "**Examples**"
            yield from map(example, section.value)
        elif section.kind is Kind.admonition:
            yield f"**{section.title}**"
            see_also = section.title == "See Also"
            yield references(section.value.description) if see_also else markdown(section.value.description)
        elif section.kind in TITLES:
            yield f"**{TITLES[section.kind]}**"
            yield "\n".join(map(item, section.value))
        else:
            raise SystemExit(f"There is no layout for a section of the kind '{section.kind.value}'.")


def item(one: Any) -> str:
    """One parameter, attribute, returned value or exception, as an item of a list."""
    annotation = str(one.annotation)
    if re.fullmatch(rf"[({{]?{LITERAL}(, {LITERAL})+[)}}]?", annotation):
        annotation = f"one of {annotation.strip('(){}')}"
    name = getattr(one, "name", "")
    head = f"`{name}` (`{annotation}`)" if name else f"`{annotation}`"
    return f"- {head}: " + markdown(one.description).replace("\n", "\n  ").replace("\n  \n", "\n\n")


def references(text: str) -> str:
    pairs = (line.split(" : ", 1) for line in text.splitlines() if line)
    return "\n".join(f"- `{name}`: {markdown(said)}" for name, said in pairs)


def example(part: tuple[Kind, str]) -> str:
    kind, text = part
    return markdown(text) if kind is Kind.text else f"```pycon\n{text}\n```"


def markdown(text: str) -> str:
    """Text with code in single backticks, and indented interpreter sessions fenced."""
    text = re.sub(r":\w+:`~?([\w.]+)`", r"`\1`", text).replace("``", "`").strip()
    return re.sub(
        r"^>>> .*(?:\n(?:>>>|\.\.\.) .*)*",
        lambda found: "```pycon\n" + re.sub(r" *# doctest: .*", "", found[0]) + "\n```",
        text,
        flags=re.M,
    )


def checks() -> Iterable[str]:
    order = ["plugin", "model", "dataset", "recipe"]
    for one in sorted(all_checks(), key=lambda check: order.index(check.kind)):
        yield f"| {one.name} | {one.kind} | {one.guards} | {one.hint} |"


if __name__ == "__main__":
    sys.exit(main())
