"""The model card of published weights, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo_core.weights.header import Header

_SHOWN = 10  # names of tensors


def card(name: str, header: Header, summary: str, preview: Path | None) -> str:
    """Usage, metrics, reproduction and provenance; begins with the front matter that the Hugging Face Hub reads."""
    metadata = header.metadata
    recipe = metadata["recipe"]["name"]
    settings = metadata["recipe"]
    parts = [
        f"---\nlicense: {str(metadata['license']).lower()}\nlibrary_name: zoo-core\n---",
        f"# {name}",
        summary,
        f"![Preview]({preview.name})" if preview else "",
        "```python\nimport zoo_core as zoo\n\n"
        + f'model = zoo.load("{name}")  # or zoo.load("{header.path.name}")\n```',
        "## Metrics",
        table([("metric", "value"), *_metrics(metadata.get("metrics", {}))]),
        str(metadata.get("protocol", "")),
        "## Reproduction",
        f"`zoo eval {header.path.name}` evaluates these weights again; `zoo reproduce {header.path.name}` trains "
        f"them again with the settings stored in the file: recipe `{recipe}`, seed {metadata.get('seed')}, "
        f"{metadata.get('step', 0):,} steps{_weights_step(metadata)}.",
        "## Provenance",
        table(
            [
                ("", ""),
                ("model", f"`{metadata['model']}`, {_size(header)}"),
                *_start(metadata.get("init_from")),
                ("trainer", f"`{settings['trainer']['name']}`"),
                *_dataset(settings.get("dataset"), metadata.get("dataset")),
                ("versions", ", ".join(f"{key} {value}" for key, value in metadata.get("versions", {}).items())),
                ("commit", _commit(metadata.get("git"))),
                *_changes(metadata.get("changed", [])),
                ("license", metadata["license"]),
            ]
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _dataset(settings: Any, fingerprint: Any) -> list[tuple[str, str]]:
    return [("dataset", f"`{settings['name']}`, fingerprint {fingerprint}")] if settings else []


def _metrics(metrics: dict[str, float]) -> list[tuple[str, str]]:
    return [(name, f"{value:.4g}") for name, value in metrics.items() if "/" not in name]


def table(rows: list[tuple[Any, Any]]) -> str:
    """A Markdown table of two columns; the first row is its heading."""
    heading, *body = [f"| {left} | {right} |" for left, right in rows]
    return "\n".join([heading, "| --- | --- |", *body])


def _changes(changed: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What was not the same from the first step to the last, such as the data."""
    return [
        (f"{key} from step {change['step']:,}", f"{new} (before: {old})")
        for change in changed
        for key, (old, new) in ((key, pair) for key, pair in change.items() if key != "step")
    ]


def _start(start: Any) -> list[tuple[str, str]]:
    """The weights that the training started from."""
    if not start:
        return []
    version = f"@{start['version']}" if start.get("version") else ""
    license = f", license {start['license']}" if start.get("license") else ""
    left_out = [name for names in start.get("left_out", {}).values() for name in names]
    without = f"; {start.get('tensors')} tensors, without {', '.join(left_out[:_SHOWN])}" if left_out else ""
    more = f" and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
    return [("started from", f"`{start['name']}{version}`, SHA-256 {start['sha256']}{license}{without}{more}")]


def _weights_step(metadata: Mapping[str, Any]) -> str:
    """Whose weights the file holds, if they are not those of the last step."""
    step = metadata.get("weights_step")
    return "" if step is None else f", of which the weights of step {step:,} are the best"


def _size(header: Header) -> str:
    trainable, buffers = header.trainable_parameters, header.buffers
    frozen = f" ({trainable:,} trainable)" if trainable < header.parameters else ""
    return f"{header.parameters:,} parameters{frozen}" + (f" and {buffers:,} values in buffers" if buffers else "")


def _commit(git: Any) -> str:
    if not git:
        return "unknown"
    return f"{git['commit']}{' with uncommitted changes' if git['changed'] else ''}"
