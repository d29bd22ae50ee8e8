"""``run.batch_size=auto`` finds a number, and the run is then bit for bit the one with that number."""

import json
import subprocess
import sys

import pytest
import tiny
import torch
import yaml
from tiny import RECIPE, catalog

import zoo_core as zoo
from zoo_core.engine.memory import available_memory, is_out_of_memory
from zoo_core.errors import BadSetting, RunFailed
from zoo_core.registry.resolve import resolve
from zoo_core.tools.verify_resume import compare
from zoo_core.training import batch_size
from zoo_core.training.batch_size import find_batch_size
from zoo_core.training.runner import run_recipe

CPU = torch.device("cpu")


SEEN: list[int] = []  # the sizes of the batches that LeastSquares got


class LeastSquares(zoo.SupervisedTrainer):
    def loss(self, batch):
        SEEN.append(len(batch["point"]))
        return (self.model.layers[0](batch["point"]).mean(dim=1) - batch["height"]).square().mean()


def resolved(*overrides):
    return resolve(RECIPE.with_overrides(["run.device=cpu", *overrides]), catalog())


@pytest.mark.filterwarnings("ignore:run.batch_size=auto")
@pytest.mark.parametrize(
    "more",
    [(), ("run.ema_decay=0.9",), ("run.workers=1",), ("run.precision=bfloat16",)],
    ids=lambda more: "".join(more),
)
def test_the_run_is_bit_for_bit_that_with_the_number_typed(tmp_path, more):
    torch.manual_seed(3)
    found = run_recipe(resolved("run.batch_size=auto", *more), folder=tmp_path / "auto")
    drawn = torch.rand(1)
    assert found.settings.batch_size == 32  # there are 50 points
    torch.manual_seed(3)
    run_recipe(resolved("run.batch_size=32", *more), folder=tmp_path / "typed")
    (tmp_path / "auto/metrics.jsonl").touch()
    (tmp_path / "typed/metrics.jsonl").touch()
    assert compare(tmp_path / "auto", tmp_path / "typed") == ""
    assert torch.equal(drawn, torch.rand(1))
    assert (tmp_path / "auto/config.yaml").read_text() == (tmp_path / "typed/config.yaml").read_text()


def test_the_number_and_the_reason_are_stated_and_kept(tmp_path):
    with pytest.warns(UserWarning, match=r"auto: batch size 32, .* \(the training split has 50 examples\)"):
        run_recipe(resolved("run.batch_size=auto", "run.steps=2"), folder=tmp_path / "run")
    assert yaml.safe_load((tmp_path / "run/config.yaml").read_text())["run"]["batch_size"] == 32
    assert "run.batch_size=auto" in json.loads((tmp_path / "run/environment.json").read_text())["warnings"][0]


def test_a_resumed_run_has_its_number_and_can_have_no_other(tmp_path):
    with pytest.warns(UserWarning, match="batch size 32"):
        run_recipe(resolved("run.batch_size=auto", "run.steps=2"), folder=tmp_path / "run")
    with pytest.raises(BadSetting, match=r"run.batch_size was 32 and is now 16"):
        run_recipe(resolved("run.batch_size=16", "run.steps=4"), folder=tmp_path / "run", resume=True)
    for steps, value in ((4, "32"), (6, "auto")):
        with pytest.warns(UserWarning, match=f"run.steps is now {steps}") as caught:
            run = run_recipe(
                resolved(f"run.batch_size={value}", f"run.steps={steps}"), folder=tmp_path / "run", resume=True
            )
        assert len(caught) == 1  # it does not search again
        assert (run.step, run.settings.batch_size) == (steps, 32)


def test_a_size_that_the_trainer_refuses_is_skipped_only_if_it_is_small():
    assert find_batch_size(resolved("run.batch_size=auto")).size == 32  # batch normalization refuses one point
    with pytest.raises(RunFailed, match="has 1 example, and a smaller batch raises an error, ValueError"):
        find_batch_size(resolved("run.batch_size=auto", "dataset.count=1"))


def test_a_setting_that_is_refused_for_every_size_is_the_error_of_the_run():
    with pytest.raises(BadSetting, match=r"run.grad_accumulation_steps is 3, but the trainer 'line' does not support"):
        find_batch_size(resolved("run.batch_size=auto", "run.grad_accumulation_steps=3"))


def test_a_batch_has_an_example_for_each_part():
    def found(*overrides):
        words = ["run.batch_size=auto", "run.grad_accumulation_steps=3", "run.steps=2", "run.device=cpu", *overrides]
        here = tiny.catalog_with(LeastSquares)
        return find_batch_size(resolve(here.recipe("other", *words), here))

    assert (found().size, found().unit) == (48, 3)
    assert "batch size 48, the largest one of 3, 6, 12, ... that fits" in found().note
    with pytest.raises(RunFailed, match="has 2 examples, and a batch needs 3, one for each process and part of it"):
        found("dataset.count=2")


def test_one_of_several_processes_tries_its_share_of_a_batch(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    SEEN.clear()
    words = ["run.batch_size=auto", "run.grad_accumulation_steps=2", "run.steps=1", "run.device=cpu"]
    here = tiny.catalog_with(LeastSquares)
    found = find_batch_size(resolve(here.recipe("other", *words), here))
    assert (found.size, found.unit) == (32, 8)
    assert SEEN == [1, 1, 2, 2, 4, 4]


def test_an_error_of_the_trainer_is_not_taken_for_a_lack_of_memory(tmp_path):
    with pytest.raises(RunFailed, match="the trainer 'line' raised RuntimeError: this trainer cannot be set up"):
        run_recipe(
            resolved("run.batch_size=auto", "dataset.count=500", "trainer.break_setup=true"), folder=tmp_path / "run"
        )
    assert not (tmp_path / "run").exists()


def test_memory_that_runs_out_ends_the_search():
    with pytest.raises(RunFailed, match="no batch size can be trained: a batch of 1 is out of memory on cpu"):
        find_batch_size(resolved("run.batch_size=auto", "run.precision=bfloat16", "trainer.allocate_at=1"))


def test_no_more_than_the_limits_of_the_cpu(monkeypatch):
    many = ("run.batch_size=auto", "dataset.count=5000")
    assert find_batch_size(resolved(*many)).size == 1024
    monkeypatch.setattr(batch_size, "SECONDS_ON_CPU", 0.0)
    with pytest.raises(RunFailed, match="on the CPU it may take 0 s"):
        find_batch_size(resolved(*many))
    monkeypatch.setattr(batch_size, "SECONDS_ON_CPU", 1e9)
    monkeypatch.setattr(batch_size, "FRACTION_ON_CPU", 0.0)
    with pytest.raises(RunFailed, match="may take 0 MiB"):
        find_batch_size(resolved(*many, "dataset.count=200000"))


def test_a_search_with_fsdp_is_refused():
    with pytest.raises(BadSetting, match=r"run.batch_size is 'auto', but with run.fsdp"):
        find_batch_size(resolved("run.batch_size=auto", "run.fsdp=true"))


@pytest.mark.parametrize("value", ["automatic", "0", "-4", "1.5"])
def test_other_values_are_refused(value):
    with pytest.raises(BadSetting, match=r"run.batch_size is"):
        resolved(f"run.batch_size={value}")


@pytest.mark.parametrize(
    ("error", "device", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), "cuda", True),
        (RuntimeError("CUDA error: out of memory"), "cuda", True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), "mps", True),
        (RuntimeError("cuBLAS: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "cuda", True),
        (MemoryError(), "cuda", False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "cuda", False),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "cpu", True),
        (MemoryError(), "cpu", True),
        (RuntimeError("the replay buffer is out of memory slots"), "cuda", False),
        (ValueError("out of memory"), "cpu", False),
    ],
)
def test_only_the_memory_of_the_device_counts(error, device, expected):
    assert is_out_of_memory(error, torch.device(device)) is expected


def test_some_memory_is_available():
    assert 2**20 < available_memory(CPU) < 2**50


@pytest.mark.skipif(sys.platform != "linux", reason="the limits of macOS are others")
@pytest.mark.parametrize(("limit", "used"), [("RLIMIT_AS", "vms"), ("RLIMIT_DATA", "data")])
def test_the_limits_of_the_process_are_respected(limit, used):
    program = f"""
import resource, psutil, torch
from zoo_core.engine.memory import available_memory
more = 300 * 2**20
_, hard = resource.getrlimit(resource.{limit})
resource.setrlimit(resource.{limit}, (psutil.Process().memory_info().{used} + more, hard))
assert more - 2**26 < available_memory(torch.device("cpu")) <= more
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_two_processes_agree_and_their_batch_is_divided(tmp_path):
    command = [sys.executable, "-m", "zoo_core", "run", "digit-classifier-mnist", "dataset.source=subset"]
    words = ["run.batch_size=auto", "run.steps=2", "run.threads=1", "--device", "cpu", "--processes", "2"]
    done = subprocess.run(
        [*command, *words, "--folder", str(tmp_path / "run")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    size = yaml.safe_load((tmp_path / "run/config.yaml").read_text())["run"]["batch_size"]
    assert size >= 2
    assert size & (size - 1) == 0
    assert f"batch size {size}" in done.stderr
