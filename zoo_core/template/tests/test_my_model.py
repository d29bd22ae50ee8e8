"""The plugin passes the conformance checks, and a short training improves its metric."""

import zoo_core as zoo
from zoo_core.testing import conformance

NAME = "my-model"
test_conforms = conformance(NAME)


def test_a_short_training_improves_the_metric(tmp_path):
    metric = zoo.recipe(NAME).settings("run")["monitor"]  # such as "-loss": the lower, the better
    measured = []
    for steps in (0, 200):  # with no step, the metrics are those of the initial weights
        words = (f"run.steps={steps}", "run.device=cpu", "run.threads=1")
        run = zoo.run(NAME, *words, folder=tmp_path / f"{steps}-steps")
        measured.append(run.test_metrics[metric.removeprefix("-")])
    before, after = measured
    assert after < 0.8 * before if metric.startswith("-") else after > 1.25 * before
    model = zoo.load(run.path)
    assert model.predict(**model.example())
