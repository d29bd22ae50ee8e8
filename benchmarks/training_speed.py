"""Steps per second of clsgan-mnist-reference: a plain script, a bare loop and zoo, in turn.

The same work: the networks of 1,523,024 and 626,625 parameters in float32 on the CPU; batches of 64 of the 60,000
training digits in a new random order each epoch; the generator's step, then the discriminator's on the same generated
pictures, each with Adam; five losses. Each runs in its own process with the same number of threads, steps and warm-up,
and is timed from the end of the last warm-up step to the end of the last step. Starting, loading data and what
follows the last step do not count. The warm-up reaches past step 400, so that what the first log line and the first
picture import is not counted either.

plain  plain_script.py: per-item transforms, Adam unfused, two passes of the discriminator; it logs the losses every 50
       steps and writes a picture every 400
bare   bare_loop.py: tensors in memory, fused Adam, one pass, frozen discriminator; no logging, no pictures
zoo    through_zoo.py: zoo's runner with metrics file, TensorBoard, pictures and progress; a checkpoint every 5,000
       steps falls into the window only if that is so long

They take turns (plain, bare, zoo, plain, …), and a ratio is taken within a round.

    ZOO_DATA=FOLDER python benchmarks/training_speed.py
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from measuring import copy_data, data_root, load_average, machine, ratios, said, spread, write

SCRIPTS = {"plain": "plain_script.py", "bare": "bare_loop.py", "zoo": "through_zoo.py"}


def measure(script: str, steps: int, warm_up: int, threads: int, data: Path) -> float:
    """Steps/s that ``script`` prints."""
    arguments = [f"--steps={steps}", f"--warm-up={warm_up}", f"--threads={threads}"]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(script).absolute()), *arguments],
        env={**os.environ, "ZOO_DATA": str(data), "ZOO_HOME": str(data / "home"), "OMP_NUM_THREADS": str(threads)},
        cwd=data,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{script} failed:\n{done.stderr}")
    return float(done.stdout.split()[-2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1600, help="steps that are measured")
    parser.add_argument("--warm-up", type=int, default=450, help="steps before them")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--output", type=Path, help="write everything to this JSON file")
    given = parser.parse_args()
    before = load_average()
    rates: dict[str, list[float]] = {name: [] for name in SCRIPTS}
    print(f"{given.rounds} rounds of {given.steps} steps, threads: {given.threads}, load average: {before}", flush=True)
    with TemporaryDirectory() as folder:
        data = copy_data(data_root(), Path(folder, "data"), packed=False)
        for number in range(1, given.rounds + 1):
            for name, script in SCRIPTS.items():
                rates[name].append(measure(script, given.steps, given.warm_up, given.threads, data))
            print(
                f"  round {number}:",
                "  ".join(f"{name} {values[-1]:.1f}" for name, values in rates.items()),
                flush=True,
            )
    after = load_average()
    compared = {f"zoo/{other}": ratios(rates["zoo"], rates[other]) for other in ("plain", "bare")}
    for name, values in rates.items():
        print(f"{name.ljust(9)}  {said(spread(values), 1)} steps/s")
    for name, ratio in compared.items():
        print(f"{name.ljust(9)}  {said(ratio, 3)}")
    print(f"load average afterwards: {after}")
    result = {
        "machine": machine(),
        "threads": given.threads,
        "steps": given.steps,
        "warm_up": given.warm_up,
        "load_average": {"before": before, "after": after},
        "steps_per_second": rates,
        "ratios": compared,
    }
    write(given.output, result)


if __name__ == "__main__":
    main()
