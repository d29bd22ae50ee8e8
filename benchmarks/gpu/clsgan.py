"""Steps per second of clsgan-mnist-reference: zoo, a bare loop, eager and captured, and Lightning."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.gpu.results import Options, Results
from benchmarks.gpu.turns import Turns

ZOO = ("through_zoo.py", "clsgan-mnist-reference", "trainer.eval_classifier=null")
SCRIPTS = {
    "lightning": ("lightning_script.py", "--data=loader"),
    "lightning-memory": ("lightning_script.py", "--data=memory"),
    "bare-eager": ("gpu/clsgan_loop.py",),
    "bare-captured": ("gpu/clsgan_loop.py", "--graph"),
    "zoo": ZOO,  # next to the one it is compared with
    "zoo-tf32": (*ZOO, "run.precision=tf32"),
}
STEPS = "--steps=1000000"
WARM_UP = 300


def measure(results: Results, options: Options) -> None:
    scripts = {name: (*words, STEPS) for name, words in SCRIPTS.items()}
    with TemporaryDirectory() as folder:
        turns = Turns(results, options, Path(folder))
        try:
            turns.start(scripts, WARM_UP)
            turns.take()
        finally:
            turns.end()
    for name in ("bare-captured", "lightning", "lightning-memory", "bare-eager"):
        turns.compare(f"zoo/{name}", "zoo", name)
    turns.compare("zoo-tf32/zoo", "zoo-tf32", "zoo")
    for name in scripts:
        turns.report(f"steps/s of {name}", name)
