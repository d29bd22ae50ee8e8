"""The benchmarks on a GPU: ``python -m benchmarks --gpu``."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))  # its scripts import one another by their names
