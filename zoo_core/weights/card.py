"""The card of published weights: what a person wants to know before using them, as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo_core.weights.header import Header


def card(name: str, header: Header, summary: str, picture: Path | None) -> str:
    """Figures, how to use and to repeat them, where they come from. Begins with what the Hugging Face hub reads."""
    metadata = header.metadata
    recipe = metadata["recipe"]["name"]
    settings = metadata["recipe"]
    parts = [
        f"---\nlicense: {str(metadata['license']).lower()}\nlibrary_name: zoo-core\n---",
        f"# {name}",
        summary,
        f"![Preview]({picture.name})" if picture else "",
        "```python\nimport zoo_core as zoo\n\n"
        + f'model = zoo.load("{name}")  # or zoo.load("{header.path.name}")\n```',
        "## Figures",
        table([("metric", "value"), *_metrics(metadata.get("metrics", {}))]),
        str(metadata.get("protocol", "")),
        "## How to repeat them",
        f"`zoo eval {header.path.name}` measures these weights again; `zoo reproduce {header.path.name}` trains "
        f"them again, with the settings that the file carries: recipe `{recipe}`, seed {metadata.get('seed')}, "
        f"{metadata.get('step', 0):,} steps.",
        "## Where they come from",
        table(
            [
                ("", ""),
                ("model", f"`{metadata['model']}`, {header.parameters:,} numbers"),
                ("trainer", f"`{settings['trainer']['name']}`"),
                ("data set", f"`{settings['dataset']['name']}`, fingerprint {metadata.get('dataset')}"),
                ("versions", ", ".join(f"{key} {value}" for key, value in metadata.get("versions", {}).items())),
                ("commit", _commit(metadata.get("git"))),
                ("license", metadata["license"]),
            ]
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _metrics(metrics: dict[str, float]) -> list[tuple[str, str]]:
    return [(name, f"{value:.4g}") for name, value in metrics.items() if "/" not in name]


def table(rows: list[tuple[Any, Any]]) -> str:
    """Two columns of Markdown; the first row is their heading."""
    heading, *others = [f"| {left} | {right} |" for left, right in rows]
    return "\n".join([heading, "| --- | --- |", *others])


def _commit(git: Any) -> str:
    if not git:
        return "unknown"
    return f"{git['commit']}{' with changes' if git['changed'] else ''}"
