"""`run.profile` writes a trace and prints a table, and changes nothing else."""

import gzip
import json

import pytest
import tiny
import torch
from torch.autograd import DeviceType

import zoo_core as zoo
from zoo_core.config.recipe import read_config
from zoo_core.config.step_range import StepRange
from zoo_core.loggers import standard
from zoo_core.registry.resolve import resolve
from zoo_core.training.profiling import table_of
from zoo_core.training.runner import run_recipe


def trace(path):
    return json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]


def test_the_steps_are_in_a_trace_and_the_operations_in_a_table_with_the_same_result(tmp_path, capsys):
    plain = tiny.train(tmp_path / "plain")
    capsys.readouterr()
    run = tiny.train(tmp_path / "run", "run.profile=20:24")
    title, heading, *lines = capsys.readouterr().err.splitlines()
    path = tmp_path / "run" / "profile-20-24.json.gz"
    assert title == f"steps 20 to 24, by time on the CPU; the trace is {path}"
    assert heading.split() == ["operation", "self", "time", "calls", "share"]
    assert len(lines) == 10
    shares = [float(line.split()[-1].rstrip("%")) for line in lines]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 100.5
    names = [event["name"] for event in trace(path)]
    assert names.count("Optimizer.step#Adam.step") == 5
    assert [one.name for one in (tmp_path / "run").glob("*profile*")] == [path.name]
    for name, tensor in plain.model.state_dict().items():
        assert tensor.equal(run.model.state_dict()[name])
    lines = [(tmp_path / name / "metrics.jsonl").read_text() for name in ("plain", "run")]
    assert lines[0] == lines[1]


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        ("20", "run.profile is 20, but should be the first and the last step", "`run.profile=20:30`"),
        ("20-30", "run.profile is '20-30', but should be the first and the last step", "`run.profile=20:30`"),
        ("a:b", "but should be the first and the last step with a colon", "'20:30'"),
        ("1:2:3", "but should be the first and the last step with a colon", "`run.profile=20:30`"),
        (":5", "but should be the first and the last step with a colon", "`run.profile=20:30`"),
        ("30:20", "run.profile is 30:20, but its last step is before its first", "`run.profile=20:30`"),
        ("0:5", "run.profile is 0:5, but steps are counted from 1", "`run.profile=1:5`"),
        ("25:31", "run.profile is 25:31, but the run has 30 steps", "`run.profile=21:30`"),
        ("40:50", "run.profile is 40:50, but the run has 30 steps", "`run.profile=21:30`"),
    ],
)
def test_a_range_that_is_none_is_refused_with_an_example(tmp_path, value, message, hint):
    with pytest.raises(zoo.BadSetting) as error:
        tiny.train(tmp_path / "run", f"run.profile={value}")
    assert message in error.value.message
    assert hint in (error.value.hint or "")
    assert not (tmp_path / "run").exists()


def test_one_step_and_the_last_steps_can_be_profiled(tmp_path, capsys):
    tiny.train(tmp_path / "run", "run.profile=1:1", "run.steps=3")
    assert "step 1, by time on the CPU" in capsys.readouterr().err
    tiny.train(tmp_path / "other", "run.profile=2:3", "run.steps=3")
    assert (tmp_path / "other" / "profile-2-3.json.gz").is_file()


def test_a_run_that_is_stopped_within_the_range_writes_what_it_has_and_the_resumed_one_the_rest(tmp_path):
    tiny.train(tmp_path / "run", "run.profile=12:20", callbacks=(tiny.Watcher(stop_at=14),))
    tiny.resume(tmp_path / "run")
    assert sorted(one.name for one in (tmp_path / "run").glob("profile-*")) == [
        "profile-12-14.json.gz",
        "profile-15-20.json.gz",
    ]
    tiny.resume(tmp_path / "run")  # it is beyond the range
    assert len(list((tmp_path / "run").glob("profile-*"))) == 2


def test_a_step_that_fails_leaves_the_profiler_free_for_another_run(tmp_path):
    with pytest.raises(zoo.RunFailed):
        tiny.train(tmp_path / "failed", "run.profile=2:9", "trainer.raise_at=4")
    assert not list((tmp_path / "failed").glob("*profile*"))
    tiny.train(tmp_path / "run", "run.profile=2:3")
    assert (tmp_path / "run" / "profile-2-3.json.gz").is_file()


def test_a_trace_that_cannot_be_written_is_a_warning_and_the_table_is_printed(tmp_path, capsys):
    class Block:
        @zoo.hookimpl
        def zoo_run_started(self, run):
            (run.path / "profile-2-3.json.gz").mkdir()

    with pytest.warns(UserWarning, match=r"the trace .*profile-2-3.json.gz can't be written"):
        run = tiny.train(tmp_path / "run", "run.profile=2:3", callbacks=(Block(),))
    assert run.step == 30
    assert "the trace could not be written" in capsys.readouterr().err


def test_on_cuda_the_table_lists_kernels_and_their_device_time():
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        torch.ones(8, 8) @ torch.ones(8, 8)
    events = profile.key_averages()
    assert table_of(events, on_cuda=True) == ["  no operation was recorded"]
    for event in events:  # as if they had been performed by the device
        event.device_type, event.self_device_time_total = DeviceType.CUDA, 500.0
    heading, *lines = table_of(events, on_cuda=True)
    assert heading.split() == ["operation", "device", "time", "calls", "share"]
    assert all("0.50 ms" in line for line in lines)


def test_a_range_reads_as_words():
    assert str(StepRange.read("run.profile", "1200:1300")) == "steps 1,200 to 1,300"


def test_a_range_that_a_resumed_run_has_passed_is_a_warning(tmp_path):
    tiny.train(tmp_path / "run", callbacks=(tiny.Watcher(stop_at=10),))
    recipe = read_config(tmp_path / "run" / "config.yaml").with_overrides(["run.profile=5:8"])
    resolved = resolve(recipe, tiny.catalog())
    with pytest.warns(UserWarning, match=r"run\.profile is 5:8, but the run is at step 10 already: nothing is prof"):
        run_recipe(resolved, standard(), tmp_path / "run", resume=True)


def test_a_range_that_a_run_does_not_reach_is_a_warning(tmp_path):
    class Finishes:
        @zoo.hookimpl
        def zoo_step_finished(self, run, step):
            if step == 4:
                run.finish("enough")

    with pytest.warns(UserWarning, match=r"run\.profile is 20:24, but the run ended with step 5: nothing is profiled"):
        tiny.train(tmp_path / "run", "run.profile=20:24", callbacks=(Finishes(),))


def test_a_run_that_was_profiled_before_it_was_stopped_resumes_without_a_word(tmp_path, recwarn):
    tiny.train(tmp_path / "run", "run.profile=5:8", callbacks=(tiny.Watcher(stop_at=10),))
    tiny.resume(tmp_path / "run")
    assert not [one for one in recwarn if "profile" in str(one.message)]
