"""What tests of all packages share. Every test has a zoo home of its own, so that none sees a developer's."""

import os

import pytest
from hypothesis import settings

import zoo_core as zoo

# Tests start processes that share the machine with this one. It has to be said before torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

# On a machine where others are at work, an example may take any time.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(autouse=True, scope="session")
def no_home_of_a_developer(tmp_path_factory):
    """What fixtures of a whole module do, before a test has its own home, goes into this one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_HOME", str(tmp_path_factory.mktemp("zoo-home-of-all")))
        yield


@pytest.fixture(autouse=True)
def zoo_home(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("zoo-home")
    monkeypatch.setenv("ZOO_HOME", str(home))
    return home


class StopsAt:
    """Ends a run after a step, as a signal would."""

    def __init__(self, step):
        self.step = step

    @zoo.hookimpl
    def zoo_step_finished(self, run, step):
        if step == self.step:
            run.stop("the test")


@pytest.fixture(scope="session")
def stops_at():
    return StopsAt
