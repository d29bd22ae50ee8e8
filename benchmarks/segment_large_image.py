"""The memory of a segmentation of a large image: in tiles, and in one piece.

python benchmarks/segment_large_image.py --height 3000 --width 4000 --classes 11 --tile 512
python benchmarks/segment_large_image.py --height 3000 --width 4000 --classes 11 --tile 0
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image

import zoo_core as zoo
from zoo_core.engine.memory import memory_now, peak_memory, reset_peak_memory

_NETWORK = {"base_channels": 16, "depth": 4, "patch": 2, "head": "linear", "output": "class_logits"}  # of zoo fit


def main() -> None:
    """Predict once, and print the memory before and at its peak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("height", 3000), ("width", 4000), ("classes", 11), ("tile", 512)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    tile = [options.tile, options.tile] if options.tile else []
    model = zoo.build("unet", {**_NETWORK, "in_channels": 3, "out_channels": options.classes, "tile": tile}).eval()
    with TemporaryDirectory() as folder:
        path = Path(folder, "image.png")
        pixels = np.random.default_rng(0).integers(0, 256, (options.height, options.width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        del pixels
        device = torch.device("cpu")
        before, started = memory_now(device), time.process_time()
        if not reset_peak_memory(device):
            print("the peak is that of the whole process")
        model.predict(image=str(path))
        seconds = time.process_time() - started
    print(f"before {before / 2**20:.0f} MiB, peak {peak_memory(device) / 2**20:.0f} MiB, {seconds:.0f} s of a core")


if __name__ == "__main__":
    main()
