"""What ``zoo fit`` leaves beside a run: its plan, a report, and a model card with the weights."""

from __future__ import annotations

from pathlib import Path

from zoo_core.files import write_atomically
from zoo_core.registry.catalog import Catalog
from zoo_core.tools.fit.plan import Planned
from zoo_core.tools.fit.plan_file import PLAN, as_plan
from zoo_core.tools.publish import publish
from zoo_core.tools.report.page import write_report
from zoo_core.tools.report.read import read_run

_REPORT, _SHARED = "report.html", "published"
_LICENSE = "NOASSERTION"  # of SPDX: who publishes them has to choose one


def keep_plan(planned: Planned, run: Path) -> None:
    """Write the plan into the folder of a run, be it finished or stopped."""
    if run.is_dir():  # not if it was stopped before its first checkpoint
        write_atomically(run / PLAN, as_plan(planned, run / PLAN))


def write_results(planned: Planned, run: Path, catalog: Catalog) -> dict[str, Path]:
    """Write the files for a finished run, and return them by what they are, with the plan."""
    report = run / _REPORT
    write_report([read_run(run, catalog)], report)
    name = planned.recipe.name
    published = publish(run, _LICENSE, run / _SHARED / f"{name}.safetensors", catalog, summary=planned.recipe.summary)
    return {"plan": run / PLAN, "report": report, "card": published.card}
