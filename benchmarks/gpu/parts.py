"""The parts of the benchmarks on a GPU: what each measures, and its targets."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.rows import Row


@dataclass(frozen=True)
class Part:
    """A module of this package whose ``measure`` runs in a process of its own."""

    name: str
    description: str
    rows: tuple[Row, ...]
    seconds: float
    """The most that it may take; what it has found by then counts."""
    additional: tuple[tuple[str, str], ...] = ()
    """Further results without a target: title and key."""


CLSGAN = Part(
    "clsgan",
    "Steps per second of clsgan-mnist-reference in batches of 64, float32. zoo logs, draws previews and saves "
    "checkpoints. The bare loops have the data on the device and write nothing; the captured one replays its step as "
    "one CUDA graph. Lightning is used as its documentation shows.",
    (
        Row("training / bare captured loop", "zoo/bare-captured", 0.9),
        Row("training / Lightning, torchvision's dataset", "zoo/lightning", 10),
        Row("training / bare eager loop", "zoo/bare-eager", 8),
    ),
    seconds=150,
    additional=(
        ("training / Lightning, zoo's dataset", "zoo/lightning-memory"),
        ("training in TF32 / in float32", "zoo-tf32/zoo"),
        ("zoo, steps/s", "steps/s of zoo"),
        ("zoo in TF32, steps/s", "steps/s of zoo-tf32"),
        ("bare captured loop, steps/s", "steps/s of bare-captured"),
        ("bare eager loop, steps/s", "steps/s of bare-eager"),
        ("Lightning, torchvision's dataset, steps/s", "steps/s of lightning"),
        ("Lightning, zoo's dataset, steps/s", "steps/s of lightning-memory"),
    ),
)
MAIN_JOB = Part(
    "main_job",
    "`zoo run clsgan-mnist` as a user types it, watched through its metrics file. Good digits have an accuracy of at "
    "least 0.98 and a Fréchet ratio of at most 14, measured every 500 steps; the seconds count from the first step, "
    "without those of the evaluations.",
    (
        Row("training, steps/s", "steps/s of clsgan-mnist", 800),
        Row("command to evaluated result, seconds", "seconds of zoo run clsgan-mnist", 40, at_least=False),
        Row("first step to good digits, seconds", "seconds to good digits", 8, at_least=False),
    ),
    seconds=150,
    additional=(
        ("first step to good digits with the evaluations, seconds", "seconds to good digits, with the evaluations"),
        ("steps to good digits", "steps to good digits"),
        ("command to step 50, seconds", "seconds of zoo run clsgan-mnist until step 50"),
        ("last step to the end of the command, seconds", "seconds of zoo run clsgan-mnist from step 16000 to its end"),
    ),
)
UNET = Part(
    "unet",
    "Steps per second of the U-Net recipes. The bare step has the same network, batch size, loss, optimizer, EMA and "
    "precision; it is replayed as one CUDA graph, on batches that are on the device before.",
    (
        Row("unet-moving-mnist, steps/s", "steps/s of unet-moving-mnist", 5 * 49),
        Row("unet-moving-mnist / bare captured step", "zoo/bare of unet-moving-mnist", 0.9),
        Row("unet-digit-scenes, steps/s", "steps/s of unet-digit-scenes", 5 * 30),
        Row("unet-digit-scenes / bare captured step", "zoo/bare of unet-digit-scenes", 0.9),
        Row(
            "unet-moving-mnist-large in bfloat16, run.compile=default, share of the rate of large matrix products",
            "share of peak of unet-moving-mnist-large, compiled",
            0.2,
        ),
    ),
    seconds=160,
    additional=(
        ("the same share without run.compile", "share of peak of unet-moving-mnist-large"),
        ("the same share, bare captured step", "share of peak of bare unet-moving-mnist-large"),
        ("unet-moving-mnist-large, run.compile=default, steps/s", "steps/s of unet-moving-mnist-large, compiled"),
        ("unet-moving-mnist-large, steps/s", "steps/s of unet-moving-mnist-large"),
        ("unet-moving-mnist-large / bare captured step", "zoo/bare of unet-moving-mnist-large"),
    ),
)
FORWARD = Part(
    "forward",
    "Forward passes of the reference U-Net on one sample of 480 x 560 in bfloat16: what `predict` runs, relative to "
    "the module under autocast in channels-last memory.",
    (Row("zoo's predictions / plain module", "plain/zoo", 1.25),),
    seconds=40,
    additional=(
        ("zoo's predictions as one CUDA graph / plain module", "plain/captured"),
        ("plain module, forward passes/s", "forward/s, plain"),
        ("zoo's predictions, forward passes/s", "forward/s, zoo"),
    ),
)
WEIGHTS_NAMES = ("clsgan-mnist", "digit-classifier-mnist", "unet-digit-scenes", "unet-moving-mnist")
"""The weights that the package contains, so that nothing is downloaded."""
WEIGHTS = Part(
    "weights",
    "The published weights on the GPU and on the CPU, float32: the largest difference of an output over the largest "
    "value.",
    tuple(Row(name, f"difference of {name}", 1e-3, at_least=False) for name in WEIGHTS_NAMES),
    seconds=60,
)
SAME_BITS = Part(
    "same_bits",
    "Short runs of every recipe, compared bit for bit: all checkpoints, the resulting weights and the metrics.",
    (
        Row("recipes that give the same bits again", "recipes that give the same bits again", 1),
        Row("recipes with the same bits captured and eager", "recipes with the same bits captured and eager", 1),
    ),
    seconds=130,
)
RESUME = Part(
    "resume",
    "`zoo verify-resume` of every recipe: short runs that are killed at random moments and resumed, compared bit for "
    "bit with runs that are not.",
    (Row("recipes that are identical", "recipes that zoo verify-resume finds identical", 1),),
    seconds=130,
)
BENCH = Part(
    "bench",
    "`zoo bench clsgan-mnist-reference`: the steps per second that it shows, relative to those that this part sees in "
    "the metrics file of `zoo run` right after it.",
    (),
    seconds=120,
    additional=(
        ("zoo bench / zoo run", "zoo bench/zoo run"),
        ("zoo bench, eager, steps/s", "eager steps/s"),
        ("zoo bench, captured, steps/s", "captured steps/s"),
        ("zoo bench, compiled, steps/s", "compiled steps/s"),
        ("kernel launches of an eager step", "launches of eager"),
        ("kernel launches of a captured step", "launches of captured"),
        ("fraction of the time in which the device is idle, eager", "idle fraction of eager"),
        ("fraction of the time in which the device is idle, captured", "idle fraction of captured"),
    ),
)
TURNS = ((CLSGAN,), (MAIN_JOB,), (UNET,), (FORWARD,), (WEIGHTS, SAME_BITS, RESUME), (BENCH,))
"""One after the other; those that measure no time run at once."""
PARTS = {part.name: part for turn in TURNS for part in turn}
