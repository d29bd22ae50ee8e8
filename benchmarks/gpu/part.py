"""The process of one part: imports what it needs, waits for a line on its standard input, and measures.

python -m benchmarks.gpu.part NAME --output FILE --seconds 60 --device cuda </dev/null
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from importlib import import_module
from pathlib import Path

from benchmarks.gpu.results import Options, Results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float, default=600.0, help="for which it should measure at most")
    args = parser.parse_args()
    results = Results(args.output)
    with results.attempt("part"):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("its time was over"))  # so that it ends what it has started
        module = import_module(f"benchmarks.gpu.{args.name}")
        words = sys.stdin.readline().split()  # the seconds that are left for it, once it is its turn
        seconds = float(words[0]) if words else args.seconds
        module.measure(results, Options(args.device, args.quick, time.monotonic() + seconds))


if __name__ == "__main__":
    main()
