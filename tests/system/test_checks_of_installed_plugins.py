"""The checks that start processes find a broken promise, in plugins that pip installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from warm_python import PYTHON
from wheels import make_wheel, pip_install

HEAVY = """
    import torch
    import zoo_core as zoo

    @zoo.hookimpl
    def zoo_register(registry): pass
"""
SLOW = """
    import time
    import zoo_core as zoo

    @zoo.hookimpl
    def zoo_register(registry): time.sleep(0.08)
"""
# A trainer that hands its network to nobody, so that each process learns from its own batches alone; one that does; one
# that keeps what it found in its own batches; and one that fails on the second process.
TRAINER = """
    import zoo_core as zoo

    @zoo.hookimpl
    def zoo_register(registry):
        registry.trainer("{name}", "p_{name}_trainer:{Name}", summary="Steps down", license="MIT", paper="Nobody 2026")
        parts = {{"model": "digit-classifier", "dataset": "mnist", "trainer": "{name}"}}
        settings = {{part: {{"name": of}} for part, of in parts.items()}}
        settings["dataset"]["source"] = "subset"
        registry.recipe("{name}-digits", __file__, **settings, run={{"steps": 4, "batch_size": 8}})
"""
CLASS = """
    from dataclasses import dataclass

    import torch
    import torch.nn.functional as F

    import zoo_core as zoo


    class {Name}(zoo.Trainer):
        @dataclass(frozen=True, kw_only=True)
        class Config:
            pass

        def setup(self, model, engine):
            self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            self.model = model
            self.engine = engine
            {setup}

        def step(self, batch):
            {step}
            loss = F.cross_entropy(self.model(batch["image"]), batch["label"])
            self.optimizer.zero_grad()
            self.engine.backward(loss)
            self.optimizer.step()
            return {{"loss": loss.detach()}}
"""
PREPARE = "self.model, self.optimizer = engine.prepare(model, self.optimizer)"
TRAINERS = {
    "apart": ("pass", "pass"),
    "together": (PREPARE, "pass"),
    "keeping": (f"{PREPARE}; self.kept = 0.0", "self.kept += float(batch['image'].mean())"),
    "lonely": (PREPARE, "assert self.engine.is_rank_zero, 'only one of us can do that'"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    made, folder = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("site")
    wheels = [make_wheel(made, f"p_{name}", source, name=name) for name, source in (("heavy", HEAVY), ("slow", SLOW))]
    for name, (setup, step) in TRAINERS.items():
        names = {"name": name, "Name": name.capitalize()}
        wheels.append(make_wheel(made, f"p_{name}", TRAINER.format(**names), name=name))
        (folder / f"p_{name}_trainer.py").write_text(_flat(CLASS.format(**names, setup=setup, step=step)))
    pip_install(wheels, folder)
    return folder


def _flat(source: str) -> str:
    import textwrap

    return textwrap.dedent(source)


def check(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """`zoo check`, as typed."""
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])
    surroundings = {**os.environ, "PYTHONPATH": path, "ZOO_HOME": str(site.parent / "home")}
    command = [PYTHON, "-m", "zoo_core", "check", *words]
    return subprocess.run(command, capture_output=True, text=True, env=surroundings, cwd=site.parent)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("heavy", "torch is imported during registration"), ("slow", "ms, but should take under 50 ms")],
)
def test_a_registration_that_is_not_fast_is_found(site, name, reason):
    done = check(site, name)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if "registration-is-fast" in line]
    assert line.startswith("failed")
    assert reason in line


@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        pytest.param("apart", "failed", "two processes fail: ", marks=pytest.mark.long),
        ("keeping", "failed", "the trainer's self.kept differs between two processes"),
        pytest.param("lonely", "failed", "two processes fail: ", marks=pytest.mark.long),
        ("together", "passed", "two-processes-agree"),
    ],
)
def test_processes_with_different_results_are_found(site, name, state, reason):
    done = check(site, f"{name}-digits", "--only", "two-processes-agree")
    (line,) = [line for line in done.stdout.splitlines() if "two-processes-agree" in line]
    assert line.startswith(state), done.stdout
    assert reason in line
    assert name != "lonely" or "only one of us can do that" in line
