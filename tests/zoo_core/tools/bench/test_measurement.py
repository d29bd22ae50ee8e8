"""What follows from times that were measured."""

from __future__ import annotations

import pytest

from zoo_core.tools.bench.measurement import Measured


def measured(times=(0.1,), examples=4, operations=600, peak=10_000.0) -> Measured:
    return Measured("forward", times, examples, operations, peak)


def test_a_percentile_is_a_time_that_was_measured() -> None:
    hundred = measured([number / 1000 for number in range(100, 0, -1)])
    assert [hundred.percentile(share) for share in (0.5, 0.9, 0.99, 1.0)] == [0.05, 0.09, 0.099, 0.1]
    assert measured([0.3, 0.1, 0.2]).percentile(0.5) == 0.2
    assert measured([0.3]).percentile(0.01) == 0.3


def test_rates_are_over_all_calls_and_not_a_mean_of_rates() -> None:
    figures = measured([0.1, 0.3], examples=4, operations=600, peak=10_000.0).figures()
    assert figures["per_second"] == pytest.approx(5)
    assert figures["examples_per_second"] == pytest.approx(20)
    assert figures["flops_per_second"] == pytest.approx(3000)
    assert figures["share_of_peak"] == pytest.approx(0.3)


def test_what_could_not_be_counted_is_none_and_not_zero() -> None:
    figures = measured(examples=0, operations=0).figures()
    unknown = {name for name, value in figures.items() if value is None}
    assert unknown == {"examples", "examples_per_second", "flops", "flops_per_second", "share_of_peak"}


def test_nothing_measured_is_no_measurement() -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        measured([])
