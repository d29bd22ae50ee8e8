"""Kill predictions of many files at random moments, and compare what they write with an undisturbed one:

    python benchmarks/predict_kills.py --kills 60

``zoo predict … images=FOLDER -o OUT`` is ended by SIGKILL or SIGTERM, started again with the same command, ended again,
up to three times, and then runs to its end. After each kill, every file that is visible must be complete: it equals the
undisturbed one of the same name. At the end, the files must be the same ones, byte by byte, and no temporary file may
be left. SIGTERM must end the process with exit code 143. An ended prediction that was finished before the signal came
is counted by itself.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from signals_at_random import EXIT_CODE, start

import zoo_core as zoo
from zoo_core.files import is_temporary
from zoo_core.weights import format as weights_format

_SIDE = 96
_MOST = 3  # kills of one prediction
_SIGNALS = (signal.SIGKILL, signal.SIGTERM)


def prepare(place: Path, count: int) -> dict[str, list[str]]:
    """Write images, clips and models with random weights; the words of a prediction of each kind, without -o."""
    random_values = np.random.default_rng(0)
    (place / "images" / "more").mkdir(parents=True)
    (place / "clips").mkdir()
    for number in range(count):
        side = _SIDE + 16 * (number % 3)
        pixels = random_values.integers(0, 256, (side, _SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(place / "images" / ("more" if number % 2 else ".") / f"{number}.png")
        np.save(place / "clips" / f"{number}.npy", random_values.integers(0, 256, (8, _SIDE, _SIDE), np.uint8))
    small = {"base_channels": 8, "depth": 2}
    labels = {"in_channels": 3, "out_channels": 5, "head": "linear", "output": "class_logits"}
    models = {
        "masks": ("unet", {**small, **labels}),
        "masks in tiles": ("unet", {**small, **labels, "tile": (64, 64)}),
        "classes": ("image-classifier", {"num_classes": 7}),
        "frames": ("unet", {**small, "in_channels": 4, "out_channels": 4, "frame_channels": 1}),
    }
    words = {}
    for kind, (name, config) in models.items():
        file = place / f"{kind.replace(' ', '-')}.safetensors"
        weights_format.write(file, zoo.build(name, config).state_dict(), {"model": name, "config": config})
        argument = f"clips={place / 'clips'}" if kind == "frames" else f"images={place / 'images'}"
        words[kind] = ["predict", str(file), argument, "-o"]
    return words


def files_in(folder: Path) -> dict[str, bytes]:
    """The content of the visible files below a folder."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def kill(words: list[str], place: Path, moment: float, number: signal.Signals) -> tuple[str, bool]:
    """Start a prediction, and kill it after some seconds; what happened, and whether it was finished before."""
    command = start(words, place, fresh=False)
    if (code := command.wait(moment)) is not None:
        return ("" if code == 0 else f"exit code {code}: {command.output()[-300:]}"), True
    os.kill(command.pid, number)
    code = command.wait(60)
    if code == 0 or (number == signal.SIGTERM and code == -number):  # it was ending, or had not begun
        return "", code == 0
    expected = -signal.SIGKILL if number == signal.SIGKILL else EXIT_CODE
    if code != expected or "Traceback" in command.output():
        return f"exit code {code} after {number.name}: {command.output()[-300:]}", False
    return "", False


def trial(
    words: list[str], place: Path, expected: dict[str, bytes], seconds: float, chance: random.Random
) -> Counter[str]:
    """Kill one prediction some times, let it finish, and compare."""
    counts: Counter[str] = Counter()
    output = place / "out" / "files"
    words = [*words, f"{output}/" if len(expected) > 1 else f"{output}/table.csv"]
    output.mkdir(parents=True)
    was_finished = False
    for _ in range(chance.randint(1, _MOST)):
        number = chance.choice(_SIGNALS)
        fault, was_finished = kill(words, place, chance.uniform(0, seconds), number)
        counts["finished before" if was_finished else number.name] += 1
        there = files_in(output) if output.exists() else {}
        half = [name for name, content in there.items() if name != "predictions.csv" and content != expected.get(name)]
        if fault or half:
            counts["wrong"] += 1
            print(f"wrong: {fault or f'{half[0]} is not what it should be'}", flush=True)
        if was_finished:
            break
    code = 0 if was_finished else start(words, place, fresh=False).wait(300)
    left = [path for path in output.rglob("*") if is_temporary(path)]
    if code != 0 or files_in(output) != expected or left:
        counts["wrong"] += 1
        differing = [name for name in expected if files_in(output).get(name) != expected[name]]
        print(f"wrong at the end: exit code {code}, other files {differing[:3]}, left {left[:3]}", flush=True)
    counts["equal at the end"] += code == 0 and files_in(output) == expected
    counts["predictions"] += 1
    shutil.rmtree(place / "out")
    return counts


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kills", type=int, default=60)
    arguments.add_argument("--files", type=int, default=40)
    arguments.add_argument("--seed", type=int, default=0)
    args = arguments.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    total: Counter[str] = Counter()
    chance = random.Random(args.seed)  # noqa: S311  # no secret
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        kinds = prepare(place, args.files)
        for kind, words in kinds.items():
            name = "table.csv" if kind == "classes" else ""
            output = place / "expected" / kind.replace(" ", "-")
            output.mkdir(parents=True)
            for _ in range(2):  # the first one waits until torch is imported
                shutil.rmtree(output)
                output.mkdir()
                before = time.monotonic()
                if start([*words, str(output / name) if name else f"{output}/"], place, fresh=False).wait(600) != 0:
                    raise SystemExit((place / "output").read_text())
                seconds = time.monotonic() - before
            expected, counts = files_in(output), Counter[str]()
            while counts["SIGKILL"] + counts["SIGTERM"] < args.kills / len(kinds):
                counts += trial(words, place, expected, seconds, chance)
            total += counts
            print(f"{kind:15}  {', '.join(f'{count} {what}' for what, count in sorted(counts.items()))}", flush=True)
    print(f"in all: {', '.join(f'{count} {what}' for what, count in sorted(total.items()))}")


if __name__ == "__main__":
    main()
