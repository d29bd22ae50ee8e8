"""The models that zoo is compared with: a U-Net of another library, and a published conditional GAN."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from repository import ROOT

BENCHMARKS = ROOT / "benchmarks"
COUNT = """
import sys
sys.path.insert(0, sys.argv[1])
from unet_networks import BASES, operations, smp_unet, zoo_unet
for base in BASES:
    sys.stdout.write(f"{operations(smp_unet(base)) / operations(zoo_unet(base))}\\n")
"""


def test_the_other_unet_has_the_same_number_of_operations_within_twenty_percent() -> None:
    if find_spec("segmentation_models_pytorch") is None:
        pytest.skip("segmentation_models_pytorch is not installed: pip install 'zoo-core[bench]'")
    done = subprocess.run([sys.executable, "-c", COUNT, str(BENCHMARKS)], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    ratios = [float(line) for line in done.stdout.splitlines()]
    assert len(ratios) == 2
    assert all(0.8 <= ratio <= 1.2 for ratio in ratios), ratios


@pytest.mark.long
def test_the_published_gan_can_be_trained_and_evaluated_as_a_plugin(tmp_path: Path) -> None:
    words = ["run.steps=2", "run.device=cpu", "dataset.source=subset", "--folder", str(tmp_path / "run")]
    command = [sys.executable, "-m", "zoo_core", "--plugin", str(BENCHMARKS / "public_cgan.py"), "run", "public-cgan"]
    done = subprocess.run([*command, *words], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"accuracy", "intra_class_std_ratio", "frechet_ratio"} <= set(lines[-1])
