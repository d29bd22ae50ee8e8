"""The statistics derived from measured times."""

from __future__ import annotations

import pytest
import torch

from zoo_core.tools.bench.measurement import Bench, Measurement


def measurement(times=(0.1,), examples=4, operations=600, peak=10_000.0) -> Measurement:
    return Measurement("forward", times, examples, operations, peak)


def test_a_percentile_is_one_of_the_measured_times() -> None:
    hundred = measurement([number / 1000 for number in range(100, 0, -1)])
    assert [hundred.percentile(fraction) for fraction in (0.5, 0.9, 0.99, 1.0)] == [0.05, 0.09, 0.099, 0.1]
    assert measurement([0.3, 0.1, 0.2]).percentile(0.5) == 0.2
    assert measurement([0.3]).percentile(0.01) == 0.3


def test_rates_are_computed_over_all_calls_not_averaged_per_call() -> None:
    values = measurement([0.1, 0.3], examples=4, operations=600, peak=10_000.0).as_dict()
    assert values["per_second"] == pytest.approx(5)
    assert values["examples_per_second"] == pytest.approx(20)
    assert values["flops_per_second"] == pytest.approx(3000)
    assert values["peak_fraction"] == pytest.approx(0.3)


def test_statistics_that_could_not_be_counted_are_none_and_not_zero() -> None:
    values = measurement(examples=0, operations=0).as_dict()
    unknown = {name for name, value in values.items() if value is None}
    assert unknown == {"examples", "examples_per_second", "flops", "flops_per_second", "peak_fraction"}


def test_times_of_calls_that_did_not_wait_for_the_device_have_a_sum_and_no_percentiles() -> None:
    values = Measurement("eager", [0.1, 0.3], 4, 600, 10_000.0, synchronized=False).as_dict()
    assert values["per_second"] == pytest.approx(5)
    assert values["p50"] is values["p99"] is None


def test_a_device_is_idle_in_the_time_in_which_it_does_nothing() -> None:
    values = Measurement("eager", [0.1, 0.3], 4, 600, 10_000.0, launches=7.5, busy=0.05).as_dict()
    assert values["launches"] == 7.5
    assert values["idle_fraction"] == pytest.approx(0.75)
    assert "idle_fraction" not in measurement().as_dict()


def test_the_peak_memory_is_never_below_that_before_the_model_was_created() -> None:
    model = torch.nn.Linear(2, 1)
    cpu = torch.device("cpu")
    bench = Bench.of_model("line", "line", model, cpu, "float32", 2000, 1000, [measurement()])
    assert bench.peak_memory == bench.memory_before == 2000


def test_a_measurement_without_times_is_refused() -> None:
    with pytest.raises(ValueError, match="no times were measured"):
        measurement([])
