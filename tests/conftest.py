"""Fixtures of all tests. Every test has its own ZOO_HOME, so that none depends on that of the developer."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

import zoo_core as zoo

# Several processes run tests, and tests start processes. These have to be set before torch is imported.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
os.environ.setdefault("OMP_NUM_THREADS", "1")
# On a busy machine, a step and a checkpoint may take long; tests of the time that a signal allows unset this.
os.environ.setdefault("ZOO_STOP_SECONDS", "60")

import warm_python  # noqa: F401  # here, so that the processes of pytest-xdist share one

# On a busy machine, an example may take any time.
settings.register_profile("no_deadline", deadline=None)
settings.load_profile("no_deadline")


# The files that take longest. A process that begins one of them last would work on alone.
LONGEST = (
    "zoo_plugins/test_promises_kept.py",
    "docs/test_plugin_pages.py",
    "system/test_new_plugin.py",
    "zoo_core/tools/demo/test_page.py",
    "system/test_command.py",
    "system/test_stranger.py",
    "docs/test_export_page.py",
    "zoo_plugins/unet/test_predict.py",
    "zoo_core/tools/export/test_export.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long work comes first: the tests of a group that runs in one process, and then the files that take longest."""
    first = {Path(__file__).parent / name: number for number, name in enumerate(LONGEST)}

    def order(item: pytest.Item) -> int:
        return -1 if item.get_closest_marker("xdist_group") else first.get(item.path, len(first))

    items.sort(key=order)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """One test file is run in this process: there is nothing to divide, and no other process imports torch."""
    names = {str(argument).partition("::")[0] for argument in config.args}
    return 0 if len(names) == 1 and names.pop().endswith(".py") else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file is run by one process, which sets up its module fixtures once."""
    from xdist.scheduler import LoadGroupScheduling

    class ByFile(LoadGroupScheduling):
        def _split_scope(self, nodeid):
            group = super()._split_scope(nodeid)
            return nodeid.partition("::")[0] if group == nodeid else group

    return ByFile(config, log)


@pytest.fixture(autouse=True, scope="session")
def shared_zoo_home(tmp_path_factory):
    """The ZOO_HOME of fixtures with a larger scope than a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_HOME", str(tmp_path_factory.mktemp("shared-zoo-home")))
        yield


@pytest.fixture(autouse=True)
def zoo_home(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("zoo-home")
    monkeypatch.setenv("ZOO_HOME", str(home))
    return home


class StopsAt:
    """Stops a run after a step, as a signal would."""

    def __init__(self, step):
        self.step = step

    @zoo.hookimpl
    def zoo_step_finished(self, run, step):
        if step == self.step:
            run.stop("the test")


@pytest.fixture(scope="session")
def stops_at():
    return StopsAt
