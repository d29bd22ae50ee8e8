"""Logs to MLflow: metrics, previews and all settings of a run."""

from __future__ import annotations

import json
import os
import re
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from zoo_core.files import write_atomically
from zoo_core.hookspecs import hookimpl
from zoo_core.loggers.optional import as_picture, check_installed
from zoo_core.runs.resume_changes import flat
from zoo_core.runs.run import Run

if TYPE_CHECKING:
    from torch import Tensor

    from zoo_core.data.values import Value

_FILE = "mlflow.json"
_ADDRESS = "MLFLOW_TRACKING_URI"
_AT_ONCE = 100  # parameters, of which MLflow accepts no more
_DEFAULTS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # otherwise a server that is down delays the training by minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
_ATTEMPTS = 4  # to open a database; MLflow's own ten delay the training by 100 seconds if it can't be opened
_NOT_IN_NAMES = re.compile(r"[^\w\-. :/]")


class MLflow:
    """Logs to the server or database of MLFLOW_TRACKING_URI, or to MLflow's own default, a database beside the runs.

    ``mlflow.json`` in the run's folder names the MLflow run, which a resumed run continues. A step that it already has
    is not logged again.
    """

    def __init__(self) -> None:
        check_installed("mlflow")
        self._client: Any = None
        self._id = ""
        self._resumed = self._validated = False
        self._earlier: dict[str, Counter[int]] = {}

    @hookimpl
    def zoo_run_started(self, run: Run) -> None:
        for name, value in _DEFAULTS.items():
            os.environ.setdefault(name, value)
        import mlflow

        known = _read(run.path / _FILE)
        address = os.environ.get(_ADDRESS) or known.get("tracking_uri") or mlflow.get_tracking_uri()
        _give_up_early(address)
        self._client = mlflow.MlflowClient(address)
        self._id = self._continued(known.get("run_id"))
        self._resumed = bool(self._id)
        # The last step has been validated then, before its checkpoint, and only the evaluation on the test split is
        # repeated.
        self._validated = bool(run.settings.monitor) and run.step == run.total_steps
        if not self._resumed:
            self._id = self._begun(run)
            # One that was given may contain a password.
            place = {} if os.environ.get(_ADDRESS) else {"tracking_uri": address}
            write_atomically(run.path / _FILE, json.dumps({"run_id": self._id, **place}) + "\n")

    @hookimpl
    def zoo_logged(self, step: int, metrics: Mapping[str, float]) -> None:
        self._log(step, metrics)

    @hookimpl
    def zoo_evaluated(self, step: int, metrics: Mapping[str, float]) -> None:
        self._log(step, {f"evaluation/{name}": value for name, value in metrics.items()})

    @hookimpl
    def zoo_preview(self, step: int, values: Mapping[str, Value]) -> None:
        """Tensors are images of MLflow; texts, tables, audio and the numbers of arrays are files in ``previews``."""
        from torch import Tensor

        from zoo_core.data.value_output import STORED, file_stems, save_value
        from zoo_core.data.values import kind_of

        stems = file_stems(f"step-{step:06d}", values)
        in_ascii = [name.encode("ascii", "backslashreplace").decode() for name in values]  # as the key of an image is
        keys = dict(zip(values, file_stems("preview", in_ascii).values(), strict=True))
        with TemporaryDirectory() as folder:
            for name, value in values.items():
                if isinstance(value, Tensor):
                    self._log_image(step, keys[name], value)
                kind = kind_of(value)
                for suffix in (one for one in STORED[kind] if one not in (".png", ".gif")) if kind else ():
                    path = Path(folder, f"{stems[name]}{suffix}")
                    save_value(value, path)
                    self._client.log_artifact(self._id, str(path), "previews")

    @hookimpl
    def zoo_run_finished(self, run: Run) -> None:
        self._client.set_terminated(self._id, "KILLED" if run.stopping else "FINISHED")

    @hookimpl
    def zoo_run_failed(self) -> None:
        self._client.set_terminated(self._id, "FAILED")

    def _continued(self, identity: str | None) -> str:
        """The id of the run of earlier sessions, if MLflow still has it."""
        from mlflow.exceptions import MlflowException

        if identity is None:
            return ""
        try:
            self._client.update_run(identity, status="RUNNING")
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return ""
        return identity

    def _begun(self, run: Run) -> str:
        from mlflow.entities import Param

        experiment = self._client.get_experiment_by_name(run.name)
        number = experiment.experiment_id if experiment else self._client.create_experiment(run.name)
        tags = {"zoo.folder": str(run.path.resolve())}
        identity: str = self._client.create_run(number, run_name=run.path.name, tags=tags).info.run_id
        params = [Param(key, value) for key, value in flat(run.recipe.values)]
        for start in range(0, len(params), _AT_ONCE):
            self._client.log_batch(identity, params=params[start : start + _AT_ONCE])
        return identity

    def _log(self, step: int, metrics: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        named = ((_NOT_IN_NAMES.sub("_", name), value) for name, value in metrics.items())
        new = [Metric(name, value, now, step) for name, value in named if not self._is_repeated(name, step)]
        if new:
            self._client.log_batch(self._id, metrics=new)

    def _log_image(self, step: int, key: str, value: Tensor) -> None:
        """Log a picture, unless an earlier session has logged it: a second one would be shown beside it."""
        if self._resumed and any(
            Path(one.path).name.startswith(f"{key}+step+{step}+")
            for one in self._client.list_artifacts(self._id, "images")
        ):
            return
        self._client.log_image(self._id, as_picture(value), key=key, step=step)

    def _is_repeated(self, name: str, step: int) -> bool:
        """Whether an earlier session has logged this value, which a resumed run computes again."""
        if not self._resumed:
            return False
        if name not in self._earlier:
            steps = Counter(metric.step for metric in self._client.get_metric_history(self._id, name))
            steps[step] -= self._validated
            self._earlier[name] = steps
        self._earlier[name][step] -= 1
        return self._earlier[name][step] >= 0


def _give_up_early(address: str) -> None:
    """Let MLflow try a few times to open a database."""
    from mlflow.store.db.db_types import DATABASE_ENGINES

    if address.partition(":")[0].partition("+")[0] in DATABASE_ENGINES:
        from mlflow.store.db import utils

        utils.MAX_RETRY_COUNT = _ATTEMPTS


def _read(path: Path) -> dict[str, str]:
    """What an earlier session has written; nothing if it is missing or damaged, and a new MLflow run is begun."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)} if isinstance(found, dict) else {}
