"""Writes TensorBoard events: ``tensorboard --logdir runs``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo_core.hookspecs import hookimpl
from zoo_core.runs.run import Run

if TYPE_CHECKING:
    from torch import Tensor


class TensorBoard:
    """Writes scalars under ``train/`` and ``evaluation/``, and preview images."""

    def __init__(self) -> None:
        self._writer: Any = None

    @hookimpl
    def zoo_logged(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        self._scalars(run, "train", step, metrics)

    @hookimpl
    def zoo_evaluated(self, run: Run, step: int, metrics: Mapping[str, float]) -> None:
        self._scalars(run, "evaluation", step, metrics)

    @hookimpl
    def zoo_preview(self, run: Run, step: int, images: Tensor) -> None:
        from zoo_core.data.image_output import grid

        self._open(run).add_image("preview", grid(images), step)

    @hookimpl
    def zoo_run_finished(self, run: Run) -> None:
        self._close()

    @hookimpl
    def zoo_run_failed(self, run: Run, error: BaseException) -> None:
        self._close()

    def _scalars(self, run: Run, group: str, step: int, metrics: Mapping[str, float]) -> None:
        writer = self._open(run)
        for name, value in metrics.items():
            writer.add_scalar(f"{group}/{name}", value, step)

    def _open(self, run: Run) -> Any:
        if self._writer is None:
            # Imported when first needed, so that the first step does not wait for it.
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(run.path), purge_step=run.step + 1 if run.step else None)
        return self._writer

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
