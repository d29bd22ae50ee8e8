"""The rows of the suite: which script measures what against what, and where it must stand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One ratio of a script."""

    what: str
    ratio: str
    """Its name in the script's JSON, below ``ratios``."""
    bar: float
    at_least: bool = True
    """Whether it should be no less than the bar; otherwise no more."""

    def holds(self, median: float) -> bool:
        return median >= self.bar if self.at_least else median <= self.bar

    def bar_in_words(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bar:g}"


@dataclass(frozen=True)
class Script:
    """A benchmark with the arguments it has in the suite."""

    name: str
    arguments: tuple[str, ...]
    same_work: str
    """Why its sides can be compared."""
    rows: tuple[Row, ...]
    label: str = ""
    """What tells it from another run of the same script."""
    beside: tuple[tuple[str, str], ...] = ()
    """What is shown below its rows, and stands nowhere in particular: in words, and its name among the ratios."""

    @property
    def key(self) -> str:
        return f"{self.name} {self.label}".strip()


def _against_peers() -> tuple[Row, ...]:
    rows = []
    for name, title in (("lightning", "Lightning"), ("mmengine", "MMEngine"), ("accelerate", "an Accelerate loop")):
        rows.append(Row(f"training / under {title}, torchvision's loader", f"zoo/{name}", 2))
        rows.append(Row(f"training / under {title}, zoo's data", f"zoo/{name}-memory", 1.05))
        rows.append(Row(f"memory of training / under {title}", f"memory of zoo/{name}", 1, at_least=False))
    return tuple(rows)


def _unet(base: int) -> Script:
    return Script(
        "unet_speed.py",
        ("--rounds", "6", "--warm-up", "20", "--base", str(base)),
        f"Steps a second of unet-moving-mnist with {base} channels and batches of 16: the same batches, loss, "
        "optimizer, schedule and average; beside the bare loop the same network too, beside the other library one of "
        "about as many operations.",
        (
            Row(f"U-Net training, {base} channels / bare loop", "zoo/bare", 0.97),
            Row("arithmetic rate of it / segmentation_models_pytorch under Lightning", "GFLOP/s of zoo/smp", 1),
            Row("memory of it / segmentation_models_pytorch under Lightning", "memory of zoo/smp", 1, at_least=False),
        ),
        label=f"base {base}",
    )


GROWING = ("batch", "pixels", "examples", "names", "processes")
SCRIPTS = (
    Script(
        "training_speed.py",
        ("--rounds", "9", "--warm-up", "150"),
        "Steps a second of clsgan-mnist-reference: the same networks, batches of 64, losses, order of updates and "
        "optimizer settings, the losses logged every 50 steps.",
        (
            Row("training / plain script", "zoo/plain", 2.3),
            Row("training / bare loop", "zoo/bare", 0.97),
            Row(
                "memory of training, checkpoints included / plain script, which writes none",
                "memory of zoo/plain",
                1,
                at_least=False,
            ),
            Row("memory of training, checkpoints included / bare loop", "memory of zoo/bare", 1, at_least=False),
            *_against_peers(),
        ),
    ),
    Script(
        "arithmetic.py",
        ("--rounds", "2", "--batch-sizes", "64", "512"),
        "Operations a second of that training over those of products of large square matrices, in one process. Beside "
        "it the products of a step alone: the same shapes and layouts with nothing between them, and no optimizer.",
        (
            Row("share of the machine's matrix products, batch 64", "share of peak, batch 64", 0.5),
            Row("share of the machine's matrix products, batch 512", "share of peak, batch 512", 0.75),
        ),
        beside=tuple(
            (f"share that the products of a step alone reach, batch {size}", f"products alone, batch {size}")
            for size in (64, 512)
        ),
    ),
    Script(
        "beside_another.py",
        ("--rounds", "4", "--seconds", "3", "--counts", "300000", "1000"),
        "Steps a second of two trainings of clsgan-mnist-reference at once, added, and of one that has the machine.",
        (Row("two trainings at once / one, as zoo waits on a busy machine", "shared/alone, 1000", 1),),
    ),
    Script(
        "freed_memory.py",
        ("--rounds", "8"),
        "Steps a second of digit-classifier-mnist: the process keeps the memory that a step frees, or malloc is left "
        "as it is.",
        (
            Row("training that keeps freed memory / malloc left alone", "zoo/left-alone", 1),
            Row("memory of it / malloc left alone", "memory of zoo/left-alone", 1.05, at_least=False),
        ),
    ),
    *(_unet(base) for base in (16, 32)),
    Script(
        "unet_reference.py",
        ("--rounds", "3"),
        "A forward pass of the same module on the same sample of 480 x 560; results equal up to rounding.",
        (Row("plain U-Net module / zoo's predictions, seconds", "plain/zoo", 1.25),),
        beside=(("share of the machine's matrix products that zoo's predictions reach", "share of peak"),),
    ),
    Script(
        "many_plugins.py",
        ("--rounds", "4"),
        "Whole commands that list what there is.",
        (
            Row("timm.list_models / zoo list, seconds", "timm.list_models/zoo list", 20),
            Row("llm plugins / zoo list, seconds", "llm plugins/zoo list", 1),
            Row("kedro --help / zoo list, seconds", "kedro --help/zoo list", 1),
            Row("zoo list, seconds", "seconds of zoo list", 0.25, at_least=False),
            Row("zoo list with 50 plugins, seconds", "seconds of zoo list, 50 plugins", 0.4, at_least=False),
            Row("zoo info, seconds", "seconds of zoo info", 0.25, at_least=False),
            Row("zoo info with 50 plugins, seconds", "seconds of zoo info, 50 plugins", 0.4, at_least=False),
            Row("zoo run --print-config, seconds", "seconds of zoo run --print-config", 0.25, at_least=False),
        ),
    ),
    Script(
        "start_up.py",
        ("--rounds", "3"),
        "From the start of a process: a first training step, against importing torch and torchvision and loading the "
        "same pictures.",
        (Row("command to first step / imports and data", "first step", 1.25, at_least=False),),
    ),
    Script(
        "loading.py",
        ("--rounds", "20"),
        "The same network of 31 million parameters, ready to predict, from the same tensors on the same disk.",
        (
            Row("zoo.load / meta device and load_file, seconds", "zoo/bare", 1.1, at_least=False),
            Row("timm.create_model / zoo.load, seconds", "timm/zoo", 1),
            Row("from_pretrained / zoo.load, seconds", "hub/zoo", 1),
            Row("memory of zoo.load / the file", "peak of zoo / file", 1.15, at_least=False),
        ),
    ),
    Script(
        "saving_large.py",
        ("--rounds", "6"),
        "31 million parameters with their Adam state, safely on the same disk.",
        (
            Row("stall of a checkpoint / torch.save", "stall of zoo/torch.save", 1, at_least=False),
            Row("bytes a second of a checkpoint / sequential write", "bytes/s of zoo/disk", 0.8),
        ),
    ),
    Script(
        "saving.py",
        ("--rounds", "4"),
        "610 steps of clsgan-mnist-reference with a checkpoint every 100, and without.",
        (Row("training with checkpoints / without, seconds", "with/without", 1.05, at_least=False),),
    ),
    Script(
        "growth.py",
        ("--seconds", "1"),
        "The exponent p of seconds = c * size^p between the last two sizes; 1 is linear.",
        tuple(Row(f"growth with the {kind}", f"exponent of {kind}", 1.1, at_least=False) for kind in GROWING),
        beside=tuple((f"growth with the {kind}, over all sizes", f"exponent of {kind}, all sizes") for kind in GROWING),
    ),
    Script(
        "time_to_quality.py",
        ("--limit", "240"),
        "Seconds of training on the same data until the same evaluation first finds good digits.",
        (
            Row("seconds until clsgan-mnist draws good digits", "seconds of zoo", 180, at_least=False),
            Row("clsgan-mnist-reference, or the limit / clsgan-mnist, seconds", "seconds of reference/zoo", 1),
            Row("a public conditional GAN, or the limit / clsgan-mnist, seconds", "seconds of public/zoo", 1),
        ),
    ),
)
