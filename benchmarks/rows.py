"""The rows of the suite: the ratios that each script measures, and their targets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One ratio of a script."""

    title: str
    ratio: str
    """Its key under ``ratios`` in the script's JSON output."""
    target: float
    at_least: bool = True
    """Whether the target is a minimum; otherwise it is a maximum."""

    def reaches_target(self, median: float) -> bool:
        return median >= self.target if self.at_least else median <= self.target

    def format_target(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.target:g}"


@dataclass(frozen=True)
class Script:
    """A benchmark script with its arguments in the suite."""

    name: str
    arguments: tuple[str, ...]
    description: str
    """What is compared, and what is the same on both sides."""
    rows: tuple[Row, ...]
    label: str = ""
    """Distinguishes several entries of the same script."""
    additional: tuple[tuple[str, str], ...] = ()
    """Further ratios without a target: title, and key under ``ratios``."""

    @property
    def key(self) -> str:
        return f"{self.name} {self.label}".strip()


def _against_peers() -> tuple[Row, ...]:
    rows = []
    for name, title in (("lightning", "Lightning"), ("mmengine", "MMEngine"), ("accelerate", "Accelerate")):
        rows.append(Row(f"training / {title}, torchvision's dataset", f"zoo/{name}", 2))
        rows.append(Row(f"training / {title}, zoo's dataset", f"zoo/{name}-memory", 1.05))
        rows.append(Row(f"memory of training / {title}", f"memory of zoo/{name}", 1, at_least=False))
    return tuple(rows)


def _unet(base: int) -> Script:
    return Script(
        "unet_speed.py",
        ("--rounds", "6", "--warm-up", "20", "--base", str(base)),
        f"Steps per second of unet-moving-mnist with {base} channels and batches of 16. The batches, loss, optimizer, "
        "schedule and EMA are the same; the bare loop has the same network, segmentation_models_pytorch one with about "
        "the same number of operations.",
        (
            Row(f"U-Net training, {base} channels / bare loop", "zoo/bare", 0.97),
            Row("its arithmetic rate / segmentation_models_pytorch with Lightning", "GFLOP/s of zoo/smp", 1),
            Row("its memory / segmentation_models_pytorch with Lightning", "memory of zoo/smp", 1, at_least=False),
        ),
        label=f"base {base}",
    )


SCALING = ("batch", "pixels", "examples", "names", "processes")
SCRIPTS = (
    Script(
        "training_speed.py",
        ("--rounds", "9", "--warm-up", "150"),
        "Steps per second of clsgan-mnist-reference. The networks, batches of 64, losses, order of updates and "
        "optimizer settings are the same, and the losses are logged every 50 steps.",
        (
            Row("training / plain script", "zoo/plain", 2.3),
            Row("training / bare loop", "zoo/bare", 0.97),
            Row(
                "memory of training with checkpoints / plain script, which writes none",
                "memory of zoo/plain",
                1,
                at_least=False,
            ),
            Row("memory of training with checkpoints / bare loop", "memory of zoo/bare", 1, at_least=False),
            *_against_peers(),
        ),
    ),
    Script(
        "arithmetic.py",
        ("--rounds", "2", "--batch-sizes", "64", "512"),
        "Operations per second of that training relative to those of large square matrix products in the same process. "
        "The matrix products of a step alone, with the same shapes and layouts and without optimizer, give an upper "
        "bound.",
        (),
        additional=tuple(
            (f"{title}, batch {size}", f"{ratio}, batch {size}")
            for title, ratio in (
                ("fraction of the peak arithmetic rate", "fraction of peak"),
                ("fraction reached by the matrix products of a step alone", "products alone"),
            )
            for size in (64, 512)
        ),
    ),
    Script(
        "beside_another.py",
        ("--rounds", "4", "--seconds", "3", "--counts", "300000", "1000"),
        "Total steps per second of two simultaneous trainings of clsgan-mnist-reference, relative to one alone.",
        (Row("two simultaneous trainings / one, with zoo's GOMP_SPINCOUNT", "shared/alone, 1000", 1),),
    ),
    Script(
        "freed_memory.py",
        ("--rounds", "8"),
        "Steps per second of digit-classifier-mnist with zoo's malloc settings, which keep freed memory in the "
        "process, relative to the default settings.",
        (
            Row("training with zoo's malloc settings / default settings", "zoo/left-alone", 1),
            Row("its memory / default settings", "memory of zoo/left-alone", 1.05, at_least=False),
        ),
    ),
    *(_unet(base) for base in (16, 32)),
    Script(
        "unet_reference.py",
        ("--rounds", "3"),
        "A forward pass of the same module on the same sample of 480 x 560; the results are equal up to rounding.",
        (Row("plain U-Net module / zoo's predictions, seconds", "plain/zoo", 1.25),),
        additional=(("fraction of the peak arithmetic rate, zoo's predictions", "fraction of peak"),),
    ),
    Script(
        "many_plugins.py",
        ("--rounds", "4"),
        "Commands that list models, plugins or settings.",
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
        "The time from the start of the process to the end of the first training step, relative to importing torch and "
        "torchvision and loading the same images.",
        (Row("time to the first step / imports and data", "first step", 1.25, at_least=False),),
    ),
    Script(
        "loading.py",
        ("--rounds", "20"),
        "Loading the same network of 31 million parameters for inference, from the same tensors on the same disk.",
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
        "Saving 31 million parameters with their Adam state to the same disk, including the sync.",
        (
            Row("time that a checkpoint blocks training / torch.save", "stall of zoo/torch.save", 1, at_least=False),
            Row("bytes per second of a checkpoint / sequential write", "bytes/s of zoo/disk", 0.8),
        ),
    ),
    Script(
        "saving.py",
        ("--rounds", "4"),
        "610 steps of clsgan-mnist-reference with a checkpoint every 100 steps, relative to none.",
        (Row("training with checkpoints / without, seconds", "with/without", 1.05, at_least=False),),
    ),
    Script(
        "growth.py",
        ("--seconds", "1"),
        "The exponent p of seconds = c * size^p between the last two sizes; 1 is linear.",
        tuple(Row(f"scaling exponent: {kind}", f"exponent of {kind}", 1.1, at_least=False) for kind in SCALING),
        additional=tuple(
            (f"scaling exponent over all sizes: {kind}", f"exponent of {kind}, all sizes") for kind in SCALING
        ),
    ),
    Script(
        "time_to_quality.py",
        ("--limit", "240"),
        "Seconds of training on the same data until the test metrics reach the same thresholds.",
        (
            Row("clsgan-mnist to the thresholds, seconds", "seconds of zoo", 180, at_least=False),
            Row("clsgan-mnist-reference, or the limit / clsgan-mnist, seconds", "seconds of reference/zoo", 1),
            Row("a public conditional GAN, or the limit / clsgan-mnist, seconds", "seconds of public/zoo", 1),
        ),
    ),
)
