"""The settings of the training loop, which every recipe has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from zoo_core.config.settings import setting

DEFAULT_BATCH_SIZE = 64


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """The section ``run`` of a recipe: the settings of the training loop."""

    steps: int | None = setting(None, "optimizer steps; give this or epochs", ge=0)
    epochs: float | None = setting(None, "passes over the training examples; give this or steps", ge=0, lt=math.inf)
    batch_size: int | Literal["auto"] = setting(
        DEFAULT_BATCH_SIZE, "examples per step, over all processes; auto: the largest power of two that fits", ge=1
    )
    seed: int = setting(0, "seed of all random numbers of the run", ge=0, lt=2**63)
    device: str = setting("auto", "auto (an accelerator if available), cpu, cuda, cuda:1, mps, xpu")
    precision: Literal["float32", "tf32", "bfloat16", "float16", "auto"] = setting(
        "float32",
        "precision of the forward pass; tf32: products of float32 with rounded operands, on CUDA; auto: the fastest of "
        "the device that is never slower than float32",
    )
    deterministic: bool = setting(
        True, "use deterministic algorithms on accelerators, and name operations that have none"
    )
    grad_accumulation_steps: int = setting(
        1,
        "parts into which a process splits its batch to save memory, with one optimizer step for all; statistics of "
        "batch normalization are those of a part",
        ge=1,
    )
    cuda_graph: Literal["auto", "on", "off"] = setting(
        "auto",
        "on CUDA, record a step once as a CUDA graph and replay it; auto: if it can be captured; on: otherwise fail",
    )
    compile: Literal["off", "default", "reduce-overhead", "max-autotune"] = setting(
        "off", "compile the networks (mode of torch.compile): slow first steps, then faster ones"
    )
    fsdp: bool = setting(
        False, "shard parameters and optimizer state over the processes (FSDP2); otherwise each has a full copy"
    )
    find_unused_parameters: bool = setting(
        False, "with several processes, allow steps in which parameters get no gradient; costs time in every step"
    )
    sync_batch_norm: bool = setting(
        False, "compute batch normalization statistics over all processes, on accelerators; otherwise in each process"
    )
    threads: int | None = setting(None, "CPU threads per operation; null is torch's default", ge=1, le=1024)
    workers: int | None = setting(
        None,
        "worker processes that load data; 0 loads it in the training process, null is automatic: up to 4 for an "
        "accelerator that would wait for examples not in memory, else 0",
        ge=0,
        le=1024,
    )
    init_from: str | None = setting(
        None, "weights to start from: the name of published weights, the folder of a run, or a .safetensors file"
    )
    init_strict: bool = setting(
        True, "refuse weights of init_from that do not fit the model exactly; false: load the tensors that fit"
    )
    freeze: tuple[str, ...] = setting(
        (), "patterns such as features.* of the parameters and modules that are not trained"
    )
    ema_decay: float = setting(
        0.0,
        "decay of the exponential moving average (EMA) of the model's weights, which are evaluated and published; "
        "0 disables it",
        ge=0,
        lt=1,
    )
    ema_warmup: bool = setting(True, "limit the decay of the n-th update of the EMA to n / (9 + n)")
    ema_every: int = setting(1, "steps between two updates of the EMA", ge=1)
    ema_buffers: bool = setting(
        False,
        "average the buffers of the model, such as the statistics of batch normalization, too, instead of copying",
    )
    loggers: list[str] = setting(
        ["jsonl", "tensorboard", "images"], "what records metrics and previews; `zoo list loggers` shows all"
    )
    log_every: int = setting(50, "steps between two lines of metrics", ge=1)
    preview_every: int = setting(400, "steps between two previews; 0 disables them", ge=0)
    evaluate_every: int = setting(0, "steps between two evaluations; 0 evaluates once, at the end", ge=0)
    checkpoint_every: int = setting(1000, "steps between two checkpoints; 0 saves one, at the end", ge=0)
    checkpoint_minutes: float = setting(0.0, "minutes between two checkpoints; 0 counts steps only", ge=0)
    keep_checkpoints: int = setting(2, "number of newest checkpoints to keep", ge=1)
    monitor: str = setting(
        "", "evaluation metric whose best checkpoint is kept as well: accuracy for the highest, -mse for the lowest"
    )
    load_best_at_end: bool = setting(
        False, "evaluate and publish the weights of the best checkpoint by run.monitor, not those of the last step"
    )
    profile: int | str = setting(
        "", "steps to profile, such as 20:30: a trace in the run's folder and a table of the most expensive operations"
    )
    patience: int = setting(
        0, "evaluations without an improvement of run.monitor after which the run ends; 0 never ends it", ge=0
    )
    min_delta: float = setting(
        0.0, "run.patience counts an evaluation as an improvement if it is better by more than this", ge=0, lt=math.inf
    )

    @property
    def examples_per_step(self) -> int:
        """The batch size as a number. A run has one; outside of it, auto is the default."""
        return self.batch_size if isinstance(self.batch_size, int) else DEFAULT_BATCH_SIZE
