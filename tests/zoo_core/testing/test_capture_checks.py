"""The check of captured steps names what keeps a step from being captured, also without CUDA."""

from __future__ import annotations

import pytest
import tiny
import torch

import zoo_core as zoo
from zoo_core.testing.capture_checks import step_can_be_captured
from zoo_core.testing.check import Skip, Subject


class DeviceOnly(tiny.LineTrainer):
    def step(self, batch):
        loss = (self.model(batch["point"]) - batch["height"]).square().mean()
        self.optimizer.zero_grad()
        self.engine.backward(loss)
        self.optimizer.step()
        return {"loss": loss.detach()}

    def after_step(self):
        self.done += 1
        self.schedule.step()


class InStep(DeviceOnly):
    def step(self, batch):
        self.done += 1
        return super().step(batch)


class Reading(DeviceOnly):
    def step(self, batch):
        metrics = super().step(batch)
        if metrics["loss"] > 1e6:
            raise zoo.ZooError("diverged")
        return metrics


class Listing(DeviceOnly):
    def step(self, batch):
        batch["point"].tolist()
        return super().step(batch)


class Masking(DeviceOnly):
    def step(self, batch):
        chosen = batch["height"] > -100
        return super().step(zoo.Batch(point=batch["point"][chosen], height=batch["height"][chosen]))


class Careful(DeviceOnly):
    def step(self, batch):
        if self.engine.may_read and not torch.isfinite(batch["point"]).all():
            raise zoo.ZooError("a point is not finite")
        return super().step(batch)


class Counting(DeviceOnly):
    def step(self, batch):
        metrics = super().step(batch)
        return metrics | {"done": metrics["loss"] * self.done}


@pytest.mark.parametrize("trainer", [DeviceOnly, Careful])
def test_a_step_of_device_work_passes(trainer):
    check(trainer)


@pytest.mark.parametrize(
    ("trainer", "why"),
    [
        (tiny.LineTrainer, r"step reads a value back from the device .*`self\.average\.update_parameters"),
        (InStep, r"step changes self\.done, which a graph cannot repeat"),
        (Reading, r"step reads a value back from the device \(testing/test_capture_checks\.py, line \d+: `if metrics"),
        (Listing, r"step reads a value back from the device .*`batch\[\"point\"\]\.tolist\(\)`"),
        (Masking, r"step reads a value back from the device .*\[chosen\]"),
        (Counting, r"step reads self\.done, which changes from step to step"),
    ],
)
def test_work_of_the_host_is_named(trainer, why):
    with pytest.raises(Skip, match=f"its steps are not captured, and slower on CUDA: {why}"):
        check(trainer)


def check(trainer):
    step_can_be_captured(Subject("recipe", "other", tiny.catalog_with(trainer)))
