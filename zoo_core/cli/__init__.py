"""The command line. Imports every package below it; only ``__main__`` may import it."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, cast

import click

from zoo_core.cli.of_plugins import contain_exits
from zoo_core.config.command_line import PLUGIN_FILES, REGISTRY_FILES
from zoo_core.engine.openmp import limit_spin_wait
from zoo_core.engine.rank import LOST, is_launched, is_rank_zero
from zoo_core.engine.shutdown import EXIT_CODES, end_on_signals, exit_command, read_stop_seconds, received
from zoo_core.errors import ProcessLost, RunFailed, RunStopped, UnknownName, ZooError, did_you_mean, printable, raised
from zoo_core.terminal import escape_messages_of_libraries, say, say_labelled, say_text

if TYPE_CHECKING:
    from zoo_core.registry.catalog import Catalog

# The module of a command is imported when the command is used; `zoo --help` needs only the summaries.
COMMANDS = {
    "run": ("zoo_core.cli.run", "Train a recipe."),
    "sweep": ("zoo_core.cli.sweep", "Train a recipe with different settings and compare the results."),
    "fit": ("zoo_core.cli.fit", "Plan and train a recipe for a folder of your own data."),
    "data": ("zoo_core.cli.data", "Check, describe and show the data of a folder or a dataset."),
    "tune": ("zoo_core.cli.tune", "Find settings of a recipe by short trainings."),
    "top": ("zoo_core.cli.top", "Monitor the runs on this machine."),
    "predict": ("zoo_core.cli.predict", "Predict with a trained model."),
    "demo": ("zoo_core.cli.demo", "Serve trained models on a page in the browser."),
    "eval": ("zoo_core.cli.evaluate", "Evaluate weights and compare with the metrics they state."),
    "reproduce": ("zoo_core.cli.reproduce", "Train weights again and compare with the metrics they state."),
    "report": ("zoo_core.cli.report", "Write an HTML report on one or several runs."),
    "weights": ("zoo_core.cli.weights", "List, download, verify and publish weights."),
    "export": ("zoo_core.cli.export", "Export a network to ONNX or torch.export."),
    "bench": ("zoo_core.cli.bench", "Benchmark training or inference: throughput, latency, memory."),
    "list": ("zoo_core.cli.list", "List recipes, models, trainers, datasets, weights or plugins."),
    "search": ("zoo_core.cli.search", "Search names, tags and summaries."),
    "info": ("zoo_core.cli.info", "Show what a name refers to, with its settings."),
    "new": ("zoo_core.cli.new", "Create a new plugin."),
    "check": ("zoo_core.cli.check", "Run the conformance checks on a plugin."),
    "verify-resume": ("zoo_core.cli.verify_resume", "Verify that a killed and resumed run gives the same result."),
    "plugins": ("zoo_core.cli.plugins", "List, enable and disable plugins."),
}
COMPUTING = {
    "run",
    "sweep",
    "predict",
    "demo",
    "eval",
    "reproduce",
    "bench",
    "check",
    "verify-resume",
    "tune",
    "fit",
    "data",
}


class LazyGroup(click.Group):
    """The built-in commands, imported when used, and those that plugins add in the hook ``zoo_commands``."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._called_plugins: set[str] = set()

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._add_commands_of_plugins()
        return [*COMMANDS, *sorted(self.commands)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            module, _ = COMMANDS[cmd_name]
            return cast(click.Command, import_module(module).command)
        self._add_commands_of_plugins()
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in COMPUTING and not ctx.resilient_parsing:
            limit_spin_wait()
        if ctx.resilient_parsing or name.startswith("-") or self.get_command(ctx, name) is not None:
            return super().resolve_command(ctx, args)
        raise UnknownName(
            f"zoo has no command '{name}'.", did_you_mean(name, self.list_commands(ctx), "`zoo --help` lists them.")
        )

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. One of zoo's does not end with the exit code that a plugin chooses, such as 0."""
        try:
            return super().invoke(ctx)
        except SystemExit as error:
            if ctx.invoked_subcommand not in COMMANDS:
                raise
            from zoo_core.fingerprint.example_errors import place_of

            raise RunFailed(
                f"{raised(error)}{place_of(error)}: a plugin or a library ended the command.",
                "A plugin should raise an error instead of ending the process; --traceback shows more.",
            ) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self._add_commands_of_plugins()
        rows = [(name, text) for name, (_, text) in COMMANDS.items()]
        rows += [(name, command.get_short_help_str()) for name, command in sorted(self.commands.items())]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _add_commands_of_plugins(self) -> None:
        """Call the hook of every plugin once. An error in one plugin does not affect the others."""
        from zoo_core.cli.of_plugins import add_commands

        add_commands(self, self._called_plugins)


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        say(f"zoo {version('zoo-core')}")
        ctx.exit()


def _want_traceback(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        os.environ["ZOO_TRACEBACK"] = "1"


def common_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--traceback``, which is accepted before and after the name of every command."""
    return click.option(
        "--traceback",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_want_traceback,
        help="Print the traceback of an error.",
    )(function)


def _add_plugin_files(ctx: click.Context, _: click.Parameter, paths: tuple[str, ...]) -> None:
    """Add the files to the environment, which processes started by a command inherit."""
    if paths:
        files = [os.path.abspath(path) for path in paths]
        os.environ[PLUGIN_FILES] = os.pathsep.join([*filter(None, [os.environ.get(PLUGIN_FILES)]), *files])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Print the version."
)
@click.option(
    "--plugin",
    multiple=True,
    metavar="FILE",
    expose_value=False,
    is_eager=True,
    callback=_add_plugin_files,
    help="Load a plugin that is a single .py file; may be repeated.",
)
@common_options
def cli() -> None:
    """Train, evaluate and use models by name.

    \b
    zoo list                          list the recipes
    zoo run clsgan-mnist              train a recipe
    zoo predict clsgan-mnist labels=[5,5,5,5] -o fives.png
    zoo weights list                  list the published weights
    """


def open_catalog(registry: Iterable[Path] = (), warns: bool = True) -> Catalog:
    """The catalog of this command, with further registry files; the current one until the command ends.

    It ``warns`` of plugins that did not load.
    """
    from zoo_core.registry.catalog import Catalog

    context = click.get_current_context()
    context.with_resource(registries_in_environment(registry))
    opened = Catalog()
    context.with_resource(opened.active())
    if warns:
        from zoo_core.cli.plugins import warn_of_broken

        warn_of_broken(opened)
    return opened


@contextmanager
def registries_in_environment(files: Iterable[Path]) -> Iterator[None]:
    """Inside, processes that are started know the registry files, and so do the commands that messages tell to type."""
    before = os.environ.get(REGISTRY_FILES, "")
    given = os.pathsep.join([*filter(None, [before]), *(os.path.abspath(file) for file in files)])
    os.environ[REGISTRY_FILES] = given
    try:
        yield
    finally:
        os.environ[REGISTRY_FILES] = before


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point of the command ``zoo``. Exit codes: 0 success, 1 failure, 2 usage error, 128 + number of a signal."""
    end_on_signals()  # again, for scripts that call this function
    warnings.showwarning = _show_warning
    escape_messages_of_libraries()
    contain_exits()
    if "_ZOO_COMPLETE" in os.environ:  # a warning would appear in the middle of the command being typed
        warnings.simplefilter("ignore")
    exit_command(_exit_code(arguments))


def _exit_code(arguments: list[str] | None) -> int:
    show_traceback = "--traceback" in (sys.argv if arguments is None else arguments)
    try:
        read_stop_seconds()
        result = cli.main(arguments, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except RunStopped as error:
        say_text(str(error), err=True)
        return EXIT_CODES.get(received(), 1)
    except ZooError as error:
        if isinstance(error, ProcessLost) and is_launched():
            return LOST
        say_error(str(error), show_traceback)
        if is_launched() and not is_rank_zero():
            time.sleep(5)  # if rank 0 has the same error, let it report the error before the launcher ends it
        return error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "zoo"
        say_error(f"{printable(error.format_message())}\n  See `{command} --help`.", show_traceback)
        return error.exit_code
    except click.ClickException as error:
        say_error(error.format_message(), show_traceback)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        name = received() or "SIGINT"
        say("interrupted" if name == "SIGINT" else f"stopped by {name}", err=True)
        return EXIT_CODES[name]
    except BrokenPipeError:
        return 1
    except SystemExit:  # of a command that a plugin adds
        raise
    except BaseException as error:
        if message := _file_error(error):
            say_error(message, show_traceback)
            return 2
        from zoo_core.fingerprint.example_errors import place_of

        say_error(
            f"{raised(error, 2000)}{place_of(error)}\n"
            "  It was raised in a plugin or a library; --traceback shows where.",
            show_traceback,
        )
        return 1


def _file_error(error: BaseException) -> str:
    """The message for an OSError that zoo's own use of a file caused, such as missing permissions; "" for others."""
    if not isinstance(error, OSError) or error.filename is None:
        return ""
    import traceback

    modules = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names]
    return printable(f"{error.filename}: {error.strerror}.") if ours[-1].startswith("zoo_core.") else ""


def say_error(text: str, show_traceback: bool = False) -> None:
    """Print an error to stderr, after the traceback of the current exception if ``--traceback`` was given."""
    if show_traceback or os.environ.get("ZOO_TRACEBACK"):
        import traceback

        say_text(traceback.format_exc(), err=True)
    with suppress(OSError):  # stderr is closed
        say_labelled("error:", "red", text, err=True)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning in one line, without its location in the source."""
    if issubclass(category, UserWarning) and is_rank_zero():
        text = printable(" ".join(str(message).split("\n")))  # those of libraries may have several lines
        with suppress(OSError):  # stderr is closed, which must not end a training
            say_labelled("warning:", "yellow", text, err=True)
