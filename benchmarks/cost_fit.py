"""A model of the CPU time of a training step, fitted to the measurements of cost.py, and its tables.

t(b, p) = a + c F(b/p) + e [p > 1] F(b/p) + d B(p), fitted for each recipe by least squares of the relative errors.
F are the operations for the part of the batch that a process computes, B(p) = 2 (p - 1) / p x 4 x parameters are the
bytes that it sends in a ring all-reduce (Patarasu & Yuan 2009). a is the fixed cost of a step, and e the slowdown that
is due to the processes sharing one machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

Row = tuple[float, float, float, float, float]  # 1, F, F if there are several processes, B; seconds
KINDS = ("exchanging", "silent")
# Assumptions for the calculated tables: a sustained rate of operations, and the nominal bandwidth of links.
SUSTAINED = 50e12
LINKS = {"10 Gbit/s": 1.25e9, "200 Gbit/s": 25e9}


def sent(parameters: int, processes: int) -> float:
    """Bytes that each process sends in a step."""
    return 2 * (processes - 1) / processes * 4 * parameters


def fit(result: dict[str, Any]) -> dict[str, Any]:
    recipes = dict.fromkeys(one["recipe"] for one in result["batches"])
    every = {recipe: [one for one in result["batches"] if one["recipe"] == recipe] for recipe in recipes}
    of_recipes = {recipe: _of_recipe(measured) for recipe, measured in every.items()}
    sides = {recipe: [one for one in result["sides"] if one["recipe"] == recipe] for recipe in recipes}
    in_pixels = {
        recipe: _exponent([(one["flops"], _typical(one)) for one in measured])
        for recipe, measured in sides.items()
        if measured
    }
    return {"recipes": of_recipes, "in_pixels": in_pixels, "exchange": _exchange(result)}


def _of_recipe(measured: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [row for one in measured for row in _rows(one)]
    table = np.array(rows)
    seconds = table[:, 4]
    found, *_ = np.linalg.lstsq(table[:, :4] / seconds[:, None], np.ones(len(rows)), rcond=None)
    errors = table[:, :4] @ found / seconds - 1
    alone = [(one["batch_size"], _typical(one)) for one in measured if one["processes"] == 1]
    return {
        **dict(zip("aced", map(float, found), strict=True)),
        "points": len(rows),
        "root_mean_square_error": float(np.sqrt(np.mean(errors**2))),
        "largest_error": float(np.abs(errors).max()),
        "exponent_in_batch": _exponent(alone),
    }


def _rows(one: dict[str, Any]) -> Iterable[Row]:
    several, flops = float(one["processes"] > 1), float(one["flops"])
    for kind, seconds in one["processor_seconds"].items():
        bytes_sent = sent(one["parameters"], one["processes"]) if kind == "exchanging" else 0.0
        yield 1.0, flops, several * flops, bytes_sent, seconds["median"]


def _exchange(result: dict[str, Any]) -> dict[str, Any]:
    """The CPU time of the gradient exchange between two processes, fitted as fixed + each x bytes."""
    several = [one for one in (*result["batches"], *result["widths"]) if one["processes"] > 1]
    points = [(sent(one["parameters"], 2), _typical(one) - _typical(one, "silent")) for one in several]
    table = np.array(points)
    columns = np.stack([np.ones(len(points)), table[:, 0]], axis=1)
    (fixed, each), *_ = np.linalg.lstsq(columns, table[:, 1], rcond=None)
    errors = columns @ np.array([fixed, each]) - table[:, 1]
    root = float(np.sqrt(np.mean(errors**2)))
    return {"fixed": float(fixed), "each": float(each), "points": points, "root_mean_square_error_seconds": root}


def _typical(one: dict[str, Any], kind: str = "exchanging") -> float:
    return float(one["processor_seconds"][kind]["median"])


def _exponent(points: Sequence[tuple[float, float]]) -> float:
    """The exponent k of y ~ x ** k."""
    x, y = np.log(np.array(points)).T
    return float(np.polyfit(x, y, 1)[0])


def tables(result: dict[str, Any]) -> str:
    """All results as Markdown tables."""
    parts = [_counted(result), _timed(result), _fitted(result["fit"]), _sides(result), _exchanged(result)]
    return "\n\n".join([*parts, _on_paper(result), _balanced(result), f"Load average: {result['load_average']}"])


def _counted(result: dict[str, Any]) -> str:
    own = {
        one["recipe"]: one for one in reversed(result["batches"]) if one["peak_growth_bytes"] and one["processes"] == 1
    }
    rows = [
        [
            name,
            str(one["batch_size"]),
            one["precision"],
            f"{one['flops'] / 1e9:.2f}",
            f"{one['parameters']:,}",
            *(_mib(one[key]) for key in ("parameter_bytes", "gradient_bytes", "optimizer_bytes", "average_bytes")),
            _mib(one["kept_bytes"]),
            _mib(one["peak_growth_bytes"]),
            _mib(sent(one["parameters"], 2)),
        ]
        for name, one in reversed(own.items())
    ]
    head = "recipe, batch, precision, GFLOP, parameters, weights, gradients, optimizer, EMA, activations, peak, sent"
    return _table(head.split(", "), rows)


def _timed(result: dict[str, Any]) -> str:
    several = {(one["recipe"], one["batch_size"]): one for one in result["batches"] if one["processes"] > 1}
    rows = []
    for one in (one for one in result["batches"] if one["processes"] == 1):
        other = several[one["recipe"], one["batch_size"]]
        seconds = [_typical(one), _typical(other, "silent"), _typical(other)]
        medians = [one["seconds"]["exchanging"], *(other["seconds"][kind] for kind in reversed(KINDS))]
        cells = [f"{_ms(each)} ({_ms(of['median'])})" for each, of in zip(seconds, medians, strict=True)]
        loading = f"{one['batch_seconds'] / seconds[0]:.1%}"
        loads = f"{one['load_average'][0]}, {other['load_average'][0]}"
        rows.append([one["recipe"], str(one["batch_size"]), *cells, f"{seconds[0] / seconds[2]:.2f}", loading, loads])
    head = "recipe, batch, one process, two without exchange, two, one / two, examples, load"
    return _table(head.split(", "), sorted(rows, key=lambda row: (row[0], int(row[1]))))


def _fitted(found: dict[str, Any]) -> str:
    rows = [
        [
            name,
            _ms(one["a"]),
            f"{1e-9 / one['c']:.1f}",
            f"{1 + one['e'] / one['c']:.2f}",
            f"{one['d'] * 1e9:.2f}",
            f"{one['root_mean_square_error']:.0%}",
            f"{one['largest_error']:.0%}",
            f"{one['exponent_in_batch']:.2f}",
            f"{found['in_pixels'][name]:.2f}" if name in found["in_pixels"] else "",
        ]
        for name, one in found["recipes"].items()
    ]
    head = "recipe, a in ms, 1/c in GFLOP/s, (c + e)/c, d in ns/byte, error, largest, k of batch, k of pixels"
    return _table(head.split(", "), rows)


def _sides(result: dict[str, Any]) -> str:
    rows = [
        [
            one["recipe"],
            " ".join(one["overrides"]),
            f"{one['flops'] / 1e9:.2f}",
            _mib(one["kept_bytes"]),
            _ms(_typical(one)),
        ]
        for one in result["sides"]
    ]
    return _table(["recipe", "settings", "GFLOP", "activations", "ms"], rows)


def _exchanged(result: dict[str, Any]) -> str:
    found = result["fit"]["exchange"]
    rows = [[_mib(sent_bytes), _ms(seconds)] for sent_bytes, seconds in sorted(found["points"])]
    model = f"fixed {found['fixed'] * 1e3:.2f} ms, {found['each'] * 1e9:.3f} ns per byte, "
    return _table(["sent", "ms"], rows) + f"\n\n{model}error {found['root_mean_square_error_seconds'] * 1e3:.1f} ms"


def _on_paper(result: dict[str, Any]) -> str:
    rows = [
        [
            one["recipe"],
            str(one["batch_size"]),
            f"{one['parameters']:,}",
            f"{one['flops_of_one'] / 1e9:.1f}",
            _mib(one["kept_bytes_of_one"]),
            _mib(16 * one["parameters"]),
        ]
        for one in result["paper"]
    ]
    return _table(
        ["recipe", "batch", "parameters", "GFLOP per example", "activations per example", "16 bytes per parameter"],
        rows,
    )


def _balanced(result: dict[str, Any]) -> str:
    """The batch size per process above which computing takes longer than the exchange between many processes."""
    first = {one["recipe"]: one for one in result["batches"] if one["processes"] == 1}
    counted = [(name, one["parameters"], one["flops"] / one["batch_size"]) for name, one in first.items()]
    counted += [(one["recipe"], one["parameters"], one["flops_of_one"]) for one in result["paper"]]
    rows = []
    for name, parameters, flops in counted:
        bytes_each = 2 * 4 * parameters / flops
        examples = [_rounded(bytes_each * SUSTAINED / link) for link in LINKS.values()]
        rows.append([name, f"{bytes_each * 1e3:.2f}", *examples])
    return _table(["recipe", "bytes sent per 1,000 operations of one example", *LINKS], rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))


def _rounded(count: float) -> str:
    """``count`` with two significant digits."""
    return f"{float(f'{count:.2g}'):,g}"


def _mib(count: float) -> str:
    return f"{count / 2**20:.1f}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.1f}"
