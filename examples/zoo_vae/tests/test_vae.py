"""The plugin passes the conformance checks, and its training lowers the negative evidence lower bound."""

import zoo_core as zoo
from zoo_core.testing import conformance

test_conforms = conformance("vae", ["dataset.source=subset"])


def test_a_short_training_lowers_the_negative_elbo(tmp_path):
    overrides = ("dataset.source=subset", "run.device=cpu", "run.epochs=2")
    run = zoo.run("vae-mnist", *overrides, folder=tmp_path / "run")
    assert run.test_metrics["negative_elbo"] < 200
    assert zoo.load(run.path).predict(count=2, seed=1)["image"].shape == (2, 1, 28, 28)
