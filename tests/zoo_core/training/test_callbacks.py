"""Hooks reach every callback, and one that raises costs only itself."""

import warnings

import pluggy
import pytest

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
