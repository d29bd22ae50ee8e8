"""Logs to Weights & Biases: metrics, previews and all settings of a run."""

from __future__ import annotations

import netrc
import os
import secrets
import time
import warnings
from collections.abc import Mapping
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from zoo_core.errors import raised
from zoo_core.hookspecs import hookimpl
from zoo_core.loggers.optional import as_picture, check_installed
from zoo_core.runs.run import Run

if TYPE_CHECKING:
    from zoo_core.data.values import Value

_SERVER = "https://api.wandb.ai"
_TIMEOUT = 30.0  # seconds to wait for the server at the start of a run


class WeightsAndBiases:
    """Logs in the folder ``wandb`` of the run, and to the server if a key is configured; it never asks for one.

    A resumed run continues its Weights & Biases run: the names of the folders there contain its id.
    """

    def __init__(self) -> None:
        check_installed("wandb")
        self._run: Any = None

    @hookimpl
    def zoo_run_started(self, run: Run) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # which would use the network when offline, too
        mode = _mode()
        known = _known_id(run.path)
        identity = known or secrets.token_hex(4)
        try:
            self._run = _start(run, mode, identity)
        except Exception as error:
            if mode != "online":
                raise
            warnings.warn(
                f"Weights & Biases can't be reached: {raised(error)}. The run is logged in {run.path / 'wandb'} "
                "instead; `wandb sync` uploads it.",
                stacklevel=2,
            )
            self._run = _start(run, "offline", identity)

    @hookimpl
    def zoo_logged(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=step)

    @hookimpl
    def zoo_evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log({f"evaluation/{name}": value for name, value in metrics.items()}, step=step)

    @hookimpl
    def zoo_preview(self, step: int, values: Mapping[str, Value]) -> None:
        from zoo_core.data.value_output import file_stems

        with TemporaryDirectory() as folder:  # from which a file is copied when it is logged
            keys = file_stems("preview", values)  # which become names of files
            self._run.log({keys[name]: _media(value, folder) for name, value in values.items()}, step=step)

    @hookimpl
    def zoo_run_finished(self) -> None:
        self._run.finish()

    @hookimpl
    def zoo_run_failed(self) -> None:
        self._run.finish(exit_code=1)


def _media(value: Value, folder: str) -> Any:
    import wandb

    from zoo_core.data.table_csv import rows_of
    from zoo_core.data.value_output import save_value
    from zoo_core.data.values import Audio, Table

    if isinstance(value, str):
        return wandb.Html(f"<pre>{escape(value)}</pre>", inject=False)
    if isinstance(value, Table):
        rows = [list(row) for row in rows_of(value.columns)]
        return wandb.Table(list(value.columns), rows, allow_mixed_types=True)
    if isinstance(value, Audio):
        path = Path(folder, f"{secrets.token_hex(4)}.wav")
        save_value(value, path)
        return wandb.Audio(path, sample_rate=value.sample_rate)
    return wandb.Image(as_picture(value))


def _start(run: Run, mode: Literal["online", "offline"], identity: str) -> Any:
    import wandb

    _let_the_second_pass(run.path, identity)
    settings = wandb.Settings(
        mode=mode, console="off", silent=True, disable_git=True, save_code=False, x_disable_stats=True,
        init_timeout=_TIMEOUT,
    )  # fmt: skip
    return wandb.init(
        project=os.environ.get("WANDB_PROJECT", "zoo"),
        name=f"{run.name} {run.path.name}",
        group=run.name,
        id=identity,
        resume="allow" if mode == "online" else None,
        reinit="create_new",  # of another one that this process may have begun
        config=dict(run.recipe.values),
        allow_val_change=True,
        dir=str(run.path),
        settings=settings,
    )


def _mode() -> Any:
    """That of WANDB_MODE, but not online without a key, since Weights & Biases would then ask for one."""
    given = os.environ.get("WANDB_MODE", "")
    if given and given != "online":
        return given
    if _has_key():
        return "online"
    if given:
        warnings.warn(
            "WANDB_MODE is 'online', but there is no key for Weights & Biases, so the run is logged offline. "
            "`wandb login` stores one.",
            stacklevel=2,
        )
    return "offline"


def _has_key() -> bool:
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return True
    host = urlsplit(os.environ.get("WANDB_BASE_URL", _SERVER)).hostname or ""
    places = [os.environ["NETRC"]] if os.environ.get("NETRC") else ["~/.netrc", "~/_netrc"]
    for path in (Path(os.path.expanduser(place)) for place in places):
        try:
            if path.is_file() and netrc.netrc(path).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError) as error:
            warnings.warn(f"{path} can't be read: {error}; it may hold the key of Weights & Biases.", stacklevel=2)
    return False


def _known_id(folder: Path) -> str:
    """The id in the names of the folders of earlier sessions, such as ``offline-run-20261127_101500-1f0c9a2e``."""
    found = sorted((folder / "wandb").glob("*run-*_*-*"), key=lambda one: one.name.split("run-")[1])
    return found[-1].name.rpartition("-")[2] if found else ""


def _let_the_second_pass(folder: Path, identity: str) -> None:
    """Wait until a new folder has another name than that of a session that began in this second."""
    while list((folder / "wandb").glob(f"*run-{time.strftime('%Y%m%d_%H%M%S')}-{identity}")):
        time.sleep(0.05)
