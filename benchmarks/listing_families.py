"""Time of ``zoo list models`` with and without the example plugin zoo-timm, in alternation.

    pip install examples/zoo_timm
    python benchmarks/listing_families.py --repeats 20

prints the median of each and their ratio, which should be at most 1.3. The first call, which reads the names of the
models from timm's source, is timed by itself.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

COMMAND = [sys.executable, "-m", "zoo_core", "list", "models"]


def seconds(home: str, **environment: str) -> float:
    """How long the command takes with this ZOO_HOME."""
    start = time.perf_counter()
    done = subprocess.run(
        COMMAND, env={**os.environ, "ZOO_HOME": home, **environment}, check=True, capture_output=True, text=True
    )
    taken = time.perf_counter() - start
    expected = "ZOO_DISABLE_PLUGINS" not in environment
    if ("timm/ " in done.stdout) != expected:
        raise SystemExit("install the plugin first: pip install examples/zoo_timm")
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as home:
        seconds(home, ZOO_DISABLE_PLUGINS="timm")  # so that bytecode is compiled and files are in memory
        print(f"first call with the plugin: {seconds(home):.3f} s")
        pairs = [(seconds(home), seconds(home, ZOO_DISABLE_PLUGINS="timm")) for _ in range(repeats)]
    with_it, without = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"with {with_it:.3f} s, without {without:.3f} s (medians of {repeats}): ratio {with_it / without:.3f}")


if __name__ == "__main__":
    main()
