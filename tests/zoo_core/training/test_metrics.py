"""The metrics of several steps, read at once."""

import json

import pytest
import torch

from zoo_core.errors import RunFailed
from zoo_core.training.metrics import MetricAccumulator

NAN, INF = torch.tensor(torch.nan), torch.tensor(torch.inf)


def fed(**series):
    """A meter that was told ``series`` from step 11 on."""
    meter = MetricAccumulator()
    for index in range(len(next(iter(series.values())))):
        meter.add(11 + index, {name: torch.as_tensor(values[index]) for name, values in series.items()})
    return meter


def test_it_gives_the_mean_of_each_metric_since_the_last_reading():
    meter = fed(loss=[1.0, 2.0, 6.0], accuracy=[0.0, 1.0, 0.5])
    assert meter.read() == {"loss": 3.0, "accuracy": 0.5}
    assert meter.read() == {}
    meter.add(14, {"loss": torch.tensor(9.0)})
    assert meter.read() == {"loss": 9.0}


@pytest.mark.parametrize("kind", [torch.tensor, lambda value: torch.nn.Parameter(torch.tensor(value))])
def test_a_metric_that_the_trainer_goes_on_changing_is_what_each_step_gave(kind):
    meter, running = MetricAccumulator(), kind(0.0)
    for step in range(1, 5):
        with torch.no_grad():
            running += step
        meter.add(step, {"running": running.detach() if step % 2 else running, "fresh": running * 1.0})
        if step == 3:
            meter.fetch()
    assert meter.read() == {"running": (1 + 3 + 6 + 10) / 4, "fresh": (1 + 3 + 6 + 10) / 4}


def test_a_metric_that_not_every_step_reports_is_averaged_over_those_that_do():
    meter = MetricAccumulator()
    meter.add(1, {"loss": torch.tensor(1.0)})
    meter.add(2, {"loss": torch.tensor(3.0), "penalty": torch.tensor(8.0)})
    assert meter.read() == {"loss": 2.0, "penalty": 8.0}


def test_whole_numbers_half_precision_and_gradients_are_no_obstacle():
    meter = fed(count=[torch.tensor(2), torch.tensor(3)], half=[torch.tensor(0.5, dtype=torch.bfloat16)] * 2)
    assert meter.read() == {"count": 2.5, "half": 0.5}
    loss = torch.tensor(2.0, requires_grad=True)
    assert fed(loss=[loss * 2]).read() == {"loss": 4.0}


@pytest.mark.parametrize(
    ("series", "message"),
    [
        ({"fine": [1, 2, 3.0], "loss": [1, NAN, NAN]}, "loss is nan at step 12"),
        ({"late": [1, 2, NAN], "early": [1, INF, NAN]}, "early is inf at step 12"),
        ({"loss": [-INF, 1, 1]}, "loss is -inf at step 11"),
    ],
)
def test_the_first_step_and_metric_that_is_no_number_are_named(series, message):
    with pytest.raises(RunFailed, match=message):
        fed(**series).read()


def test_what_was_fetched_is_still_read_with_what_comes_later_also_by_another_meter():
    one = fed(loss=[1.0, 2.0], penalty=[0.1, 0.3])
    one.fetch()
    kept = json.loads(json.dumps(one.state_dict()))
    other = MetricAccumulator()
    other.load_state_dict(kept)
    for meter in (one, other):
        meter.add(13, {"loss": torch.tensor(6.0)})
    whole = fed(loss=[1.0, 2.0], penalty=[0.1, 0.3])
    whole.add(13, {"loss": torch.tensor(6.0)})
    assert one.read() == other.read() == whole.read()
    assert one.read() == other.read() == {}
    assert one.state_dict() == {}


def test_fetching_names_the_step_that_is_no_number():
    with pytest.raises(RunFailed, match="loss is nan at step 12"):
        fed(loss=[1, NAN]).fetch()


def test_a_rare_metric_that_is_no_number_is_named_too():
    meter = MetricAccumulator()
    for step in (1, 2, 3):
        meter.add(step, {"loss": torch.tensor(1.0), **({"penalty": NAN} if step == 2 else {})})
    with pytest.raises(RunFailed, match="penalty is nan at step 2"):
        meter.read()


def test_a_plain_number_is_a_metric():
    meter = MetricAccumulator()
    meter.add(1, {"loss": 1.0, "count": 2})
    meter.add(2, {"loss": 2.0, "count": 3})
    assert meter.read() == {"loss": 1.5, "count": 2.5}


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"loss": torch.zeros(3)}, r"gives a tensor of shape \(3,\) as 'loss', but should give one number"),
        ({"loss": None}, "gives None as 'loss', but should give one number"),
        ({"epoch": torch.tensor(1.0)}, "a metric named 'epoch', which is reserved in metrics.jsonl"),
        ({7: torch.tensor(1.0)}, "a metric named 7, which is not a string"),
        ({"a\nb": torch.tensor(1.0)}, r"a metric named 'a\\nb', which contains a character that can't be printed"),
        ({"\x1b[31m": torch.tensor(1.0)}, "which contains a character that can't be printed"),
        ({" ": torch.tensor(1.0)}, "a metric named ' ', which is empty"),
    ],
)
def test_what_is_no_metric_is_named_in_the_step_that_reports_it(metrics, message):
    with pytest.raises(RunFailed, match=message):
        MetricAccumulator().add(1, metrics)


def test_metrics_that_a_trainer_keeps_and_changes_in_place_are_averaged():
    for kept in ([torch.zeros(())], [torch.zeros(()), torch.zeros(())]):
        metrics = MetricAccumulator()
        for step in range(1, 7):
            value = kept[step % len(kept)]
            value.fill_(step)
            metrics.add(step, {"loss": value})
        assert metrics.read() == {"loss": 3.5}
