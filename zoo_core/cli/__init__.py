"""The command line. A sub-command's module is imported when it is typed; its one-line help stands here."""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, cast

import click

from zoo_core.engine.openmp import limit_spin_wait
from zoo_core.engine.rank import LOST, is_launched, is_rank_zero
from zoo_core.errors import ProcessLost, UnknownName, ZooError, did_you_mean

if TYPE_CHECKING:
    from zoo_core.registry.catalog import Catalog

COMMANDS = {
    "run": ("zoo_core.cli.run", "Train a recipe."),
    "sweep": ("zoo_core.cli.sweep", "Train a recipe with other settings each time, and compare."),
    "top": ("zoo_core.cli.top", "The runs on this machine, live."),
    "predict": ("zoo_core.cli.predict", "Use a trained model: a picture, a label."),
    "demo": ("zoo_core.cli.demo", "Try models on a page in the browser."),
    "eval": ("zoo_core.cli.evaluate", "Measure published weights again, and compare."),
    "reproduce": ("zoo_core.cli.reproduce", "Train published weights again, and compare."),
    "report": ("zoo_core.cli.report", "One HTML file on a run, or on several beside each other."),
    "weights": ("zoo_core.cli.weights", "Published weights: fetch, look at, publish."),
    "export": ("zoo_core.cli.export", "Write a network for other programs: ONNX, torch.export."),
    "bench": ("zoo_core.cli.bench", "How fast a model is here, trained or asked, and what it takes."),
    "list": ("zoo_core.cli.list", "Recipes, models, trainers, data sets, weights."),
    "search": ("zoo_core.cli.search", "Whatever has to do with a word."),
    "info": ("zoo_core.cli.info", "What a name stands for, and its settings."),
    "new": ("zoo_core.cli.new", "Begin a plugin of your own."),
    "check": ("zoo_core.cli.check", "Whether a plugin keeps what zoo promises of every plugin."),
    "verify-resume": (
        "zoo_core.cli.verify_resume",
        "Whether a recipe, killed and resumed, ends the same.",
    ),
    "plugins": ("zoo_core.cli.plugins", "Installed plugins, and what is wrong with a broken one."),
}


class LazyGroup(click.Group):
    """Zoo's own commands by name and help line; those of plugins through the hook ``zoo_commands``."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._asked: set[str] = set()

    def list_commands(self, ctx: click.Context) -> list[str]:
        self._ask_plugins()
        return [*COMMANDS, *sorted(self.commands)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in COMMANDS:
            module, _ = COMMANDS[cmd_name]
            return cast(click.Command, import_module(module).command)
        self._ask_plugins()
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        word = args[0]
        if ctx.resilient_parsing or word.startswith("-") or self.get_command(ctx, word) is not None:
            return super().resolve_command(ctx, args)
        raise UnknownName(
            f"zoo has no command '{word}'.", did_you_mean(word, self.list_commands(ctx), "`zoo --help` shows all.")
        )

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self._ask_plugins()
        rows = [(name, text) for name, (_, text) in COMMANDS.items()]
        rows += [(name, command.get_short_help_str()) for name, command in sorted(self.commands.items())]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _ask_plugins(self) -> None:
        """Let every plugin add its commands, once; one that raises costs only its own."""
        from zoo_core.registry import catalog

        for implementation in catalog.default().plugins.manager.hook.zoo_commands.get_hookimpls():
            name = implementation.plugin_name
            if name not in self._asked:
                self._asked.add(name)
                try:
                    implementation.function(self)
                except Exception as error:
                    reason = f"{type(error).__name__}: {error}"
                    warnings.warn(f"the plugin '{name}' could not add its commands: {reason}", stacklevel=2)


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"zoo {version('zoo-core')}")
        ctx.exit()


def _want_traceback(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        os.environ["ZOO_TRACEBACK"] = "1"


def common_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--traceback``, which every command takes before or behind its name."""
    return click.option(
        "--traceback",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_want_traceback,
        help="Show where an error arose.",
    )(function)


def _name_plugins(ctx: click.Context, _: click.Parameter, paths: tuple[str, ...]) -> None:
    """Into the environment, where processes that a command starts find them, too."""
    from zoo_core.config.layers import PLUGIN_FILES

    if paths:
        named = [os.path.abspath(path) for path in paths]
        os.environ[PLUGIN_FILES] = os.pathsep.join([*filter(None, [os.environ.get(PLUGIN_FILES)]), *named])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version.")
@click.option(
    "--plugin",
    multiple=True,
    metavar="FILE",
    expose_value=False,
    is_eager=True,
    callback=_name_plugins,
    help="A plugin that is a single .py file.",
)
@common_options
def cli() -> None:
    """Models, how they are trained, and their data, by name.

    \b
    zoo list                          what there is
    zoo run clsgan-mnist              train it
    zoo predict clsgan-mnist labels=[5,5,5,5] -o fives.png
    zoo weights list                  trained models to be had by name
    """


def open_catalog(registry: Iterable[Path] = ()) -> Catalog:
    """The catalog of this command, with further registry files; the current one until the command ends."""
    from zoo_core.registry.catalog import Catalog

    opened = Catalog(registry)
    click.get_current_context().with_resource(opened.active())
    return opened


def main(arguments: list[str] | None = None) -> NoReturn:
    """Entry point of the command ``zoo``. Exit codes: 0 done, 1 a run failed, 2 the user's mistake, 130 interrupted."""
    warnings.showwarning = _show_warning
    limit_spin_wait()
    if "_ZOO_COMPLETE" in os.environ:  # a shell that asks for names shows whatever else is said amid what is typed
        warnings.simplefilter("ignore")
    sys.exit(_exit_code(arguments))


def _exit_code(arguments: list[str] | None) -> int:
    show_traceback = "--traceback" in (sys.argv if arguments is None else arguments)
    try:
        result = cli.main(arguments, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except ZooError as error:
        if isinstance(error, ProcessLost) and is_launched():
            return LOST
        say_error(str(error), show_traceback)
        if is_launched() and not is_rank_zero():
            time.sleep(5)  # if it is the first one's error, too, that one says so
        return error.exit_code
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "zoo"
        say_error(f"{error.format_message()}\n  See `{command} --help`.", show_traceback)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except BrokenPipeError:
        return 1
    except Exception as error:
        if problem := _problem_with_file(error):
            say_error(problem, show_traceback)
            return 2
        say_error(
            f"{type(error).__name__}: {error}\n  It comes from a plugin or a library. --traceback shows where.",
            show_traceback,
        )
        return 1


def _problem_with_file(error: Exception) -> str:
    """What is wrong with a file or folder that zoo itself was to use: it may not be entered, say. "" for any other."""
    if not isinstance(error, OSError) or error.filename is None:
        return ""
    import traceback

    modules = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names]
    return f"{error.filename}: {error.strerror}." if ours[-1].startswith("zoo_core.") else ""


def say_error(text: str, show_traceback: bool = False) -> None:
    """An error on stderr, behind the traceback of what is being handled if somebody asked for it."""
    if show_traceback or os.environ.get("ZOO_TRACEBACK"):
        import traceback

        traceback.print_exc()
    with suppress(OSError):  # who would have read it has gone
        click.echo(f"{click.style('error:', fg='red')} {text}", err=True)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """A warning as one line a person can read, without the place in the source."""
    if issubclass(category, UserWarning) and is_rank_zero():
        with suppress(OSError):  # a training goes on, whether or not anybody reads what it says
            click.echo(f"{click.style('warning:', fg='yellow')} {message}", err=True)
