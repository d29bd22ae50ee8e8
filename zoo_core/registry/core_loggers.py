"""The loggers that zoo brings itself, registered as a plugin registers its own."""

from __future__ import annotations

from zoo_core.registry.registry import Registry

OWNER = "zoo-core"
REQUIRED = f"{OWNER}/jsonl"
"""``zoo run --resume``, ``zoo top`` and ``zoo report`` read what it writes."""


def register_loggers(registry: Registry) -> None:
    """Register them; their modules are imported when they are used."""
    with registry.owned_by(OWNER):
        add = registry.logger
        add("jsonl", "zoo_core.loggers.jsonl:MetricsFile", summary="metrics.jsonl in the run's folder; always on")
        add("tensorboard", "zoo_core.loggers.tensorboard:TensorBoard", summary="TensorBoard events in the run's folder")
        add(
            "images",
            "zoo_core.loggers.images:Previews",
            summary="previews as PNG, GIF, TXT, CSV, WAV and NPY in the run's folder",
        )
        add("wandb", "zoo_core.loggers.wandb:WeightsAndBiases", summary="Weights & Biases, offline unless it has a key")
        add("mlflow", "zoo_core.loggers.mlflow:MLflow", summary="MLflow, in a local database unless it has an address")
