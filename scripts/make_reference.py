"""docs/plugins/reference.md, made from the docstrings of what plugins may use: python scripts/make_reference.py

With --check nothing is written, and the exit code is 1 if the page is not what the docstrings say.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import griffe

import zoo_core as zoo
from zoo_core.testing.collect import all_checks

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "plugins" / "reference.md"
SECTIONS = {
    "What `zoo_register` is given": ["Registry"],
    "Interfaces": ["Model", "Dataset", "Trainer", "Engine"],
    "Settings": ["setting"],
    "A page to try a model on": ["Control"],
    "Examples": ["Batch", "Examples", "InMemory", "Uint8Images", "GeneratedExamples", "data_root"],
    "A run": ["Run", "Metrics", "ZooError"],
    "Reading pictures": ["read_image", "read_frames", "clip_shape", "image_files", "palette"],
    "By name": ["list", "info", "recipe", "build", "run", "load"],
}
ELSEWHERE = {"hookimpl"}
PRIVATE_TO_ZOO = {
    "Registry": {"find", "of_kind", "owned_by", "entries", "recipe_files", "own_recipes"},
    "Run": {"due", "folder"},
}


def main() -> int:
    current = page()
    if "--check" in sys.argv:
        return int(not PAGE.is_file() or PAGE.read_text(encoding="utf-8") != current)
    PAGE.write_text(current, encoding="utf-8")
    return 0


def page() -> str:
    package = griffe.load("zoo_core", search_paths=[ROOT], resolve_aliases=True)
    listed = {name for names in SECTIONS.values() for name in names} | ELSEWHERE
    if listed != set(zoo.__all__):
        raise SystemExit(f"SECTIONS and zoo_core.__all__ differ in {sorted(listed ^ set(zoo.__all__))}.")
    parts = [
        "# Reference",
        "<!-- Made from the docstrings by scripts/make_reference.py. -->",
        "What a plugin may use: everything here, and nothing else of `zoo_core`. "
        "[Versions](managing.md#versions) says how long it stays.",
        "## Hooks",
        markdown(package["hookspecs"].docstring.value),
    ]
    hooks = [one for name, one in package["hookspecs"].functions.items() if name.startswith("zoo_")]
    parts += [text for hook in hooks for text in described(hook, hook.name)]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}")
        parts += [text for name in names for text in described(target(package[name]), f"zoo.{name}")]
    parts += ["## Checks", "`zoo check NAME`, or `zoo_core.testing.conformance(NAME)` in a test, makes these:"]
    parts.append("\n".join(["| check | of | guards | hint |", "| --- | --- | --- | --- |", *checks()]))
    parts += described(target(package["testing"]["conformance"]), "zoo_core.testing.conformance")
    parts += described(target(package["testing"]["cases"]), "zoo_core.testing.cases")
    return "\n\n".join(parts) + "\n"


def target(thing: griffe.Object | griffe.Alias) -> griffe.Object:
    return thing.final_target if isinstance(thing, griffe.Alias) else thing


def described(thing: griffe.Object, name: str) -> Iterator[str]:
    """A heading, the signature, the docstring, and for a class what may be overridden, read or called."""
    if not thing.docstring and not isinstance(thing, griffe.Attribute):
        raise SystemExit(f"{thing.path} has no docstring.")
    yield f"### `{name}`"
    yield "```python\n" + signature(thing) + "\n```"
    if thing.docstring:
        yield markdown(thing.docstring.value)
    if isinstance(thing, griffe.Class):
        hidden = PRIVATE_TO_ZOO.get(thing.name, set())
        for member in thing.members.values():
            if member.name.startswith("_") or member.name in hidden or not member.docstring:
                continue
            yield f"#### `{name.removeprefix('zoo.')}.{member.name}`"
            yield "```python\n" + signature(target(member)) + "\n```"
            yield markdown(member.docstring.value)


def signature(thing: griffe.Object) -> str:
    """The line that declares it."""
    if isinstance(thing, griffe.Function):
        arguments = list(written(thing.parameters))
        line = f"def {thing.name}({', '.join(arguments)}) -> {thing.returns}"
        return (
            line
            if len(line) <= 100
            else line.replace(", ".join(arguments), "\n    " + ",\n    ".join(arguments) + ",\n")
        )
    if isinstance(thing, griffe.Class):
        bases = ", ".join(str(base) for base in thing.bases)
        return f"class {thing.name}({bases})" if bases else f"class {thing.name}"
    annotation = getattr(thing, "annotation", None)
    return f"{thing.name}: {annotation}" if annotation else f"{thing.name} = {getattr(thing, 'value', '')}"


def written(parameters: griffe.Parameters) -> Iterator[str]:
    """Each parameter of a function as its author wrote it, but for ``self``."""
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


def markdown(docstring: str) -> str:
    """A docstring's text: code in single backticks, indented blocks fenced, what is raised as a list."""
    text = re.sub(r":\w+:`~?([\w.]+)`", r"`\1`", docstring).replace("``", "`")
    blocks = []
    for block in re.split(r"\n\s*\n(?=\S)", text):
        head, _, rest = block.partition("\n\n")
        if head.startswith("Raises:"):
            blocks.append("Raises:\n\n" + re.sub(r"^ {4}(\w+): ", r"- `\1` ", block.partition("\n")[2], flags=re.M))
        elif rest.startswith("    "):
            blocks += [head, "```python\n" + dedent(rest).rstrip() + "\n```"]
        else:
            blocks.append(block)
    return "\n\n".join(blocks)


def checks() -> Iterator[str]:
    for one in sorted(all_checks(), key=lambda check: ["plugin", "model", "dataset", "recipe"].index(check.kind)):
        yield f"| {one.name} | {one.kind} | {one.guards} | {one.hint} |"


if __name__ == "__main__":
    sys.exit(main())
