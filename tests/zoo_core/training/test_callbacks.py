"""Hooks reach every callback, and one that raises costs only itself."""

import warnings

import pluggy
import pytest
import tiny
import torch

import zoo_core as zoo
from zoo_core import hookspecs
from zoo_core.errors import BrokenPlugin
from zoo_core.training.callbacks import CallbackList


class Listener:
    def __init__(self, fails=False):
        self.heard = []
        self.fails = fails

    @zoo.hookimpl
    def zoo_step_finished(self, step):
        self.heard.append(step)
        if self.fails:
            raise ValueError("no disk left")

    @zoo.hookimpl
    def zoo_run_finished(self, run):
        self.heard.append("finished")


class Failing(Listener):
    pass


def plugins(*these):
    manager = pluggy.PluginManager("zoo")
    manager.add_hookspecs(hookspecs)
    for number, plugin in enumerate(these):
        manager.register(plugin, name=f"installed-{number}")
    return manager


def step(callbacks, number):
    callbacks.call("zoo_step_finished", run=None, step=number, metrics={})


def test_installed_plugins_and_observers_all_hear_a_hook():
    installed, one, two = Listener(), Listener(), Listener()
    callbacks = CallbackList(plugins(installed), [one, two])  # two of one class, too
    step(callbacks, 1)
    callbacks.call("zoo_run_finished", run=None)
    assert installed.heard == one.heard == two.heard == [1, "finished"]


def test_the_last_one_hears_it_first_as_pluggy_has_it():
    order = []

    def listener(name):
        class Ordered:
            @zoo.hookimpl
            def zoo_run_finished(self):
                order.append(name)

        return Ordered()

    CallbackList(plugins(listener("first")), [listener("second"), listener("third")]).call("zoo_run_finished", run=None)
    assert order == ["third", "second", "first"]


def test_one_that_raises_is_switched_off_with_one_warning_and_the_others_go_on():
    before, failing, after = Listener(), Failing(fails=True), Listener()
    callbacks = CallbackList(plugins(before), [failing, after])
    said = "the plugin 'Failing' is disabled for the rest of the run: zoo_step_finished raised ValueError: no disk left"
    with pytest.warns(UserWarning, match=said) as shown:
        step(callbacks, 1)
    assert len(shown) == 1
    step(callbacks, 2)  # a second warning would be an error
    callbacks.call("zoo_run_finished", run=None)
    assert failing.heard == [1]
    assert before.heard == after.heard == [1, 2, "finished"]


def test_a_plugin_switched_off_in_one_run_is_there_in_the_next():
    failing = Failing(fails=True)
    installed = plugins(failing)
    with pytest.warns(UserWarning, match="'installed-0' is disabled"):
        step(CallbackList(installed), 1)
    failing.fails = False
    step(CallbackList(installed), 2)
    assert failing.heard == [1, 2]


def test_stopping_at_a_key_press_is_no_failure_of_a_plugin():
    class Stopped:
        @zoo.hookimpl
        def zoo_step_finished(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), warnings.catch_warnings():
        step(CallbackList(plugins(), [Stopped()]), 1)


@pytest.mark.parametrize("wrapping", [{"wrapper": True}, {"hookwrapper": True}])
def test_wrappers_are_refused(wrapping):
    class Wrapping:
        @pluggy.HookimplMarker("zoo")(**wrapping)
        def zoo_step_finished(self):
            yield

    with pytest.raises(BrokenPlugin, match="wraps zoo_step_finished, which accepts no wrappers"):
        CallbackList(plugins(), [Wrapping()])


def test_a_misspelt_hook_is_refused():
    class Misspelt:
        @zoo.hookimpl
        def zoo_step_finshed(self):
            pass

    with pytest.raises(BrokenPlugin, match="callback Misspelt does not fit the hooks: unknown hook 'zoo_st") as error:
        CallbackList(plugins(), [Misspelt()])
    assert error.value.hint == "Did you mean 'zoo_step_finished'?"


def test_a_hook_that_asks_for_what_it_is_not_given_is_refused():
    class Greedy:
        @zoo.hookimpl
        def zoo_logged(self, run, loss):
            pass

    with pytest.raises(BrokenPlugin, match=r"callback Greedy does not fit the hooks: .*loss"):
        CallbackList(plugins(), [Greedy()])


def test_a_hook_that_is_not_marked_is_refused_and_not_passed_over():
    class Unmarked:
        @zoo.hookimpl
        def zoo_run_started(self, run):
            pass

        def zoo_logged(self, run):
            pass

    with pytest.raises(BrokenPlugin, match="callback Unmarked has zoo_logged, which is not marked as a hook") as error:
        CallbackList(plugins(), [Unmarked()])
    assert error.value.hint == "Write `@zoo.hookimpl` above it."


class Falsifying:
    """A hook that changes everything that it is given."""

    def __init__(self, change):
        self.change = change

    @zoo.hookimpl
    def zoo_step_finished(self, run, metrics):
        for name in [*metrics]:
            metrics[name].fill_(0.25)
            metrics[name] = torch.zeros(())

    @zoo.hookimpl
    def zoo_logged(self, run, metrics):
        self._falsify(run, metrics)

    @zoo.hookimpl
    def zoo_evaluated(self, run, metrics):
        self._falsify(run, metrics)

    @zoo.hookimpl
    def zoo_preview(self, images, values):
        images.zero_()
        values[""].zero_()
        values.clear()

    def _falsify(self, run, metrics):
        for name in [*metrics]:
            metrics[name] = -1.0
        metrics["invented"] = 1.0
        self.change(run)


CHANGES = {
    "": lambda run: None,
    "train_metrics": lambda run: run.train_metrics.update(loss=-1.0),
    "validation_metrics": lambda run: setattr(run, "validation_metrics", {"error": -1.0}),
    "test_metrics": lambda run: run.test_metrics.update(error=-1.0),
    "step": lambda run: setattr(run, "step", 12),
    "total_steps": lambda run: setattr(run, "total_steps", 100),
    "model": lambda run: setattr(run, "model", None),
    "stopping": lambda run: setattr(run, "stopping", 3),
    "finishing": lambda run: setattr(run, "finishing", None),
    "recipe.values": lambda run: run.recipe.values["run"].update(steps=1, seed=7),
    "folder.weights": lambda run: setattr(run.folder, "weights", run.folder.path / "mine.safetensors"),
}
WORDS = ("run.evaluate_every=4", "run.preview_every=4", "run.monitor=-error", "run.steps=12", "run.log_every=4")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return tiny.train(tmp_path_factory.mktemp("plain") / "run", *WORDS)


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_hook_changes_reaches_neither_the_run_nor_other_hooks(tmp_path, plain, name):
    falsifying = Falsifying(CHANGES[name])
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always", UserWarning)
        run = tiny.train(tmp_path / "run", *WORDS, callbacks=(falsifying,))
    said = [str(one.message) for one in shown if "disabled" in str(one.message)]
    assert len(said) == bool(name)
    assert all(f"sets run.{name}, which hooks may only read" in one for one in said)
    assert run.result() == {**plain.result(), "folder": str(run.path)}
    assert run.folder.metrics.read_text() == plain.folder.metrics.read_text()
    assert run.folder.weights.read_bytes() == plain.folder.weights.read_bytes()
    for picture in plain.folder.previews.iterdir():
        assert (run.folder.previews / picture.name).read_bytes() == picture.read_bytes()


def test_a_hook_takes_back_no_stop_of_another_one(tmp_path):
    class Forgetting:
        @zoo.hookimpl
        def zoo_logged(self, run):
            run.stopping = ""

    with pytest.warns(UserWarning, match=r"zoo_logged sets run\.stopping, which hooks may only read"):
        run = tiny.train(tmp_path / "run", "run.log_every=1", callbacks=(Forgetting(), tiny.Watcher(stop_at=3)))
    assert (run.step, run.stopping) == (3, "the watcher")


@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit(), type("Panic", (BaseException,), {})("mine")])
def test_a_hook_that_ends_the_process_is_disabled(error):
    class Ending:
        @zoo.hookimpl
        def zoo_step_finished(self):
            raise error

    expected = rf"zoo_step_finished raised {type(error).__name__}.* \(training/test_callbacks\.py, line \d+\)"
    with pytest.warns(UserWarning, match=expected):
        step(CallbackList(plugins(), [Ending()]), 1)
