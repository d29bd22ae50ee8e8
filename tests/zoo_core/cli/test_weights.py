"""`zoo weights …`, `zoo eval`, `zoo reproduce` and `zoo info FILE`."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pickles
import pytest
import tiny
import torch
import yaml

from zoo_core.cli import _exit_code
from zoo_core.weights.format import read_tensors, write
from zoo_core.weights.header import read_header


@dataclass
class Result:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str


Zoo = Callable[..., Result]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    tiny.train(folder, "run.steps=12")
    return folder


@pytest.fixture
def zoo(
    tmp_path: Path, tiny_installed: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Zoo:
    """The command ``zoo`` in an empty working directory, with the plugin of tiny.py."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ZOO_TRACEBACK", "")
    monkeypatch.delenv("ZOO_OFFLINE", raising=False)

    def zoo(*arguments: object) -> Result:
        code = _exit_code([str(word) for word in arguments])
        return Result(code, *capsys.readouterr())

    return zoo


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a local server for the folder ``served``."""

    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

    (tmp_path / "served").mkdir()
    handler = functools.partial(Silent, directory=str(tmp_path / "served"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def entry(path: Path, location: str | None = None, **changes: object) -> dict[str, object]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    size = path.stat().st_size
    return {"location": location or str(path), "sha256": digest, "size": size, "license": "MIT", **changes}


def list_in_registry(**entries: dict[str, object]) -> None:
    """Write ``registry.yaml`` in the working directory with these entries; ``_at_`` in a name is an at sign."""
    named = {name.replace("_at_", "@").replace("_", "-"): values for name, values in entries.items()}
    Path("registry.yaml").write_text(yaml.safe_dump({"weights": named}))


def altered(run: Path, **metrics: float) -> Path:
    """The run's weights with other metrics in their metadata."""
    path = run / "model.safetensors"
    metadata = read_header(path).metadata
    changed = {**metadata, "metrics": {**metadata["metrics"], **metrics}}
    write(Path("altered.safetensors"), read_tensors(path), changed)
    return Path("altered.safetensors")


def rows_of(result: Result) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in json.loads(result.out)}


def test_the_list_shows_size_license_metrics_and_state(zoo: Zoo, run: Path) -> None:
    file = run / "model.safetensors"
    list_in_registry(
        mine=entry(file, model="line", metrics={"error": 0.25}),
        away=entry(file, "https://example.com/a.safetensors", size=3 * 2**20, deprecated="use mine"),
        gone=entry(file, "gone.safetensors"),
        also={"alias": "mine"},
        bad={"location": "a.safetensors"},
    )
    rows = rows_of(zoo("weights", "list", "--json"))
    assert rows["mine"] == {
        "name": "mine",
        "model": "line",
        "size": "0.0 MiB",
        "license": "MIT",
        "state": "available",
        "metrics": "error 0.25",
    }
    assert (rows["away"]["state"], rows["away"]["size"]) == ("not downloaded, deprecated", "3.0 MiB")
    assert rows["gone"]["state"] == "missing"
    assert rows["also"]["state"] == "is mine"
    assert rows["bad"]["state"] == "broken"
    assert "weights 'bad' have no sha256" in rows["bad"]["metrics"]
    assert "digit-classifier-mnist" in rows  # a plugin's

    table = zoo("weights", "list")
    assert (table.code, table.err) == (0, "")
    assert table.out.splitlines()[0].split() == ["name", "model", "size", "license", "state", "metrics"]
    assert [line.split()[0] for line in table.out.splitlines()[1:]] == list(rows)


def test_info_of_weights_shows_the_entry_and_the_metadata_of_the_file(zoo: Zoo, run: Path) -> None:
    list_in_registry(mine=entry(run / "model.safetensors", summary="A line", metrics={"error": 0.25}))
    result = zoo("weights", "info", "mine", "--json")
    document = json.loads(result.out)
    assert (document["weights"]["summary"], document["weights"]["license"]) == ("A line", "MIT")
    assert document["file"]["recipe"] == "line"
    assert "weights mine: A line" in zoo("weights", "info", "mine").out
    list_in_registry(away=entry(run / "model.safetensors", "https://example.com/a.safetensors"))
    assert json.loads(zoo("weights", "info", "away", "--json").out).keys() == {"weights"}


def test_info_accepts_a_file_and_a_name(zoo: Zoo, run: Path) -> None:
    result = zoo("info", run / "model.safetensors")
    metadata = read_header(run / "model.safetensors").metadata
    assert (result.code, result.err) == (0, "")
    shown = {tuple(line.split()[:2]) for line in result.out.splitlines() if line.strip()}
    metric = f"{metadata['metrics']['error']:.5g}"
    assert {("model", "line"), ("recipe", "line"), ("steps", "12"), ("seed", "0"), ("error", metric)} <= shown
    assert ("model.inputs", "3") in shown
    assert "Mean absolute error of the heights" in result.out
    assert "error/points" not in result.out
    list_in_registry(mine=entry(run / "model.safetensors", summary="A line"))
    assert "weights mine: A line" in zoo("info", "mine").out


def test_info_refuses_a_pickle_with_a_hint(zoo: Zoo) -> None:
    pickles.save({"w": torch.zeros(2)}, "a.safetensors")
    result = zoo("info", "a.safetensors")
    assert (result.code, result.out) == (2, "")
    assert result.err.splitlines()[0].startswith("error: a.safetensors is a pickle, which can execute arbitrary code")
    assert result.err.splitlines()[1].endswith("zoo weights convert a.safetensors --model NAME -o NEW.safetensors")


def test_pull_downloads_path_prints_and_remove_deletes(
    zoo: Zoo, run: Path, served: str, tmp_path: Path, zoo_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = run / "model.safetensors"
    (tmp_path / "served" / "line.safetensors").write_bytes(weights.read_bytes())
    list_in_registry(away_at_1=entry(weights, f"{served}/line.safetensors"), also={"alias": "away"})

    pulled = zoo("weights", "pull", "also")
    kept = zoo_home / "weights" / f"away@1.{hashlib.sha256(weights.read_bytes()).hexdigest()[:12]}.safetensors"
    assert (pulled.code, pulled.out) == (0, f"away@1: {kept}\n")
    assert kept.read_bytes() == weights.read_bytes()
    assert rows_of(zoo("weights", "list", "--json"))["away@1"]["state"] == "available"

    monkeypatch.setenv("ZOO_OFFLINE", "1")
    assert zoo("weights", "path", "away").out == f"{kept}\n"
    assert zoo("eval", "away", "--device", "cpu").code == 0

    removed = zoo("weights", "remove", "away")
    assert (removed.code, removed.out) == (0, f"away@1: {weights.stat().st_size:,} bytes freed\n")
    assert not kept.exists()
    assert zoo("weights", "remove", "away").out == "away@1: not downloaded\n"
    offline = zoo("weights", "path", "away")
    assert (offline.code, offline.out) == (2, "")
    assert "weights 'away@1' are not on this machine, and downloads are disabled." in offline.err
    assert "zoo weights pull away@1" in offline.err


def test_pull_all_downloads_each_file_once(zoo: Zoo, run: Path, served: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "served" / f"{name}.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    source = run / "model.safetensors"
    list_in_registry(
        one=entry(source, f"{served}/one.safetensors"),
        two=entry(source, f"{served}/two.safetensors"),
        also={"alias": "one"},
    )
    result = zoo("weights", "pull", "--all")
    assert result.code == 0
    assert {line.partition(":")[0] for line in result.out.splitlines()} >= {"one", "two"}
    assert "also" not in result.out


def test_only_downloads_are_removed(zoo: Zoo, run: Path) -> None:
    list_in_registry(mine=entry(run / "model.safetensors"))
    for name, owner in (("mine", str(Path("registry.yaml").absolute())), ("digit-classifier-mnist", "the plugin '")):
        result = zoo("weights", "remove", name)
        assert result.code == 2
        assert f"error: weights '{name}' are not a download: " in result.err
        assert f"belongs to {owner}" in result.err
    assert (run / "model.safetensors").is_file()


def test_verify_reads_the_available_files_and_ends_with_1_if_one_is_bad(zoo: Zoo, run: Path) -> None:
    good = Path("good.safetensors")
    good.write_bytes((run / "model.safetensors").read_bytes())
    list_in_registry(good=entry(good), away=entry(good, "https://example.com/a.safetensors"), also={"alias": "good"})

    rows = zoo("weights", "verify", "--json")
    assert rows.code == 0
    states = {name: row["state"] for name, row in rows_of(rows).items()}
    parameters = sum(one.numel() for one in tiny.Line(tiny.Line.Config()).parameters())
    assert states["good"] == f"good ({parameters:,} parameters)"
    assert states["away"] == "not downloaded"
    assert "also" not in states

    good.write_bytes(good.read_bytes()[:-1] + b"x")
    result = zoo("weights", "verify", "good", "--json")
    assert result.code == 1
    assert rows_of(result)["good"]["state"] == "bad"
    assert "has sha256" in rows_of(result)["good"]["why"]
    assert zoo("weights", "verify").code == 1


def test_a_bad_entry_does_not_prevent_verifying_or_downloading_others(zoo: Zoo, run: Path) -> None:
    good = Path("good.safetensors")
    good.write_bytes((run / "model.safetensors").read_bytes())
    list_in_registry(bad={"location": "x"}, good=entry(good), lost={**entry(good), "location": "lost.safetensors"})

    result = zoo("weights", "verify", "--json")
    rows = rows_of(result)
    assert result.code == 1
    assert (rows["bad"]["state"], rows["lost"]["state"]) == ("bad", "bad")
    assert "weights 'bad' have no sha256." in rows["bad"]["why"]
    assert "lost.safetensors does not exist." in rows["lost"]["why"]
    assert rows["good"]["state"].startswith("good (")

    result = zoo("weights", "pull", "--all")
    assert result.code == 1
    assert f"good: {good.absolute()}" in result.out


def test_verify_finds_a_file_with_the_right_checksum_that_is_not_a_weights_file(zoo: Zoo) -> None:
    Path("text.safetensors").write_text("hello, this is a text")
    list_in_registry(text=entry(Path("text.safetensors")))
    result = zoo("weights", "verify", "text", "--json")
    assert (result.code, rows_of(result)["text"]["state"]) == (1, "bad")
    assert "is not a safetensors file" in rows_of(result)["text"]["why"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["weights", "pull"], "no weights are given."),
        (["weights", "remove"], "no weights are given."),
        (["weights", "path", "lien"], "no weights are called 'lien'."),
        (["weights", "info", "lien"], "no weights are called 'lien'."),
        (["weights", "verify", "lien"], "no weights are called 'lien'."),
        (["eval", "lien"], "no weights are called 'lien'."),
        (["eval", "none.safetensors"], "none.safetensors does not exist."),
        (["reproduce", "lien"], "no weights are called 'lien'."),
        (["weights", "publish", "nowhere", "--license", "MIT"], "nowhere/model.safetensors does not exist."),
        (["weights", "publish", "nowhere"], "Missing option '--license'"),
        (["weights", "publish", "a", "--license", "MIT", "--to", "ours"], "'ours' is not a Hugging Face repository."),
        (["weights", "convert", "none.pt", "--model", "line", "-o", "a.safetensors"], "none.pt does not exist."),
        (["weights", "convert", "none.pt", "-o", "a.safetensors"], "Missing option '--model'"),
        (["weights", "convert", "a", "x", "--model", "line", "-o", "b"], "'x' should be key=value."),
    ],
    ids=" ".join,
)
def test_a_usage_error_has_a_hint_and_writes_nothing(zoo: Zoo, arguments: list[str], message: str) -> None:
    result = zoo(*arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err.splitlines()[0]
    assert len(result.err.splitlines()) <= 2
    assert list(Path().iterdir()) == []


def test_publish_prints_a_registry_entry_that_loads(zoo: Zoo, run: Path) -> None:
    result = zoo("weights", "publish", run, "--license", "MIT", "--summary", "A line", "--dtype", "float16")
    assert result.code == 0
    assert result.err.splitlines() == ["wrote line.safetensors", "wrote line.md", "wrote line.png"]
    Path("registry.yaml").write_text(result.out)
    checked = zoo("eval", "line", "--tolerance", "0", "--device", "cpu")
    assert (checked.code, checked.err) == (0, "")
    assert checked.out.endswith("line: all 2 metrics agree within 0 %.\n")
    again = zoo("weights", "publish", run, "--license", "MIT")
    assert (again.code, again.out) == (2, "")
    assert "line.safetensors already exists, and is not overwritten." in again.err


def test_convert_writes_a_file_that_loads(zoo: Zoo) -> None:
    pickles.save({"state": tiny.Line(tiny.Line.Config(inputs=5)).state_dict()}, "line.pt")
    arguments = ["weights", "convert", "line.pt", "inputs=5", "--model", "line", "-o", "line.safetensors"]
    result = zoo(*arguments, "--key", "state")
    assert (result.code, result.out, result.err) == (0, "", "wrote line.safetensors\n")
    assert read_header(Path("line.safetensors")).metadata["config"] == {"inputs": 5}
    (missing,) = zoo(*arguments[:-1], "b.safetensors").err.splitlines()[:1]
    expected = "line.pt can't be converted: it contains 'state' (OrderedDict); select the state dict with --key."
    assert missing == f"error: {expected}"


def test_eval_measures_every_metric_again(zoo: Zoo, run: Path) -> None:
    for source in (run, run / "model.safetensors"):
        result = zoo("eval", source)
        assert (result.code, result.err) == (0, "")
        *table, hidden, verdict = result.out.splitlines()
        assert table[0].split() == ["metric", "expected", "measured", "match"]
        assert (table[1].split()[0], table[1].split()[-1], len(table)) == ("error", "yes", 2)
        assert hidden == "and 1 more metric, which agrees"
        assert verdict == f"{source}: all 2 metrics agree within 1 %."


@pytest.mark.parametrize("metric", ["error", "error/points"])
def test_eval_ends_with_1_and_shows_the_metric_that_was_altered(zoo: Zoo, run: Path, metric: str) -> None:
    result = zoo("eval", altered(run, **{metric: 1234.0}))
    assert result.code == 1
    (row,) = [line.split() for line in result.out.splitlines() if line.split()[0] == metric]
    assert (row[1], row[3]) == ("1234", "no")
    assert result.out.endswith("altered.safetensors: 1 of 2 metrics differ.\n")

    as_json = zoo("eval", "altered.safetensors", "--json")
    assert as_json.code == 1
    document = json.loads(as_json.out)
    assert (document["match"], document["same_data"]) == (False, True)
    assert [row["metric"] for row in document["metrics"] if not row["match"]] == [metric]


def test_eval_on_other_data_compares_nothing(zoo: Zoo, run: Path) -> None:
    result = zoo("eval", run, "dataset.count=40")
    assert result.code == 1
    assert result.out.endswith("the stated metrics are of other data, so they cannot be compared.\n")


def test_a_metric_within_the_tolerance_agrees(zoo: Zoo, run: Path) -> None:
    stated = read_header(run / "model.safetensors").metadata["metrics"]["error"]
    path = altered(run, error=stated * 1.02)
    assert zoo("eval", path).code == 1
    assert zoo("eval", path, "--tolerance", "0.05").code == 0


def test_an_evaluation_on_other_data_states_no_match(zoo: Zoo, run: Path) -> None:
    result = zoo("eval", run, "dataset.count=40")
    assert result.code == 1
    assert "match" not in result.out
    assert "agree" not in result.out
    assert result.out.endswith("the stated metrics are of other data, so they cannot be compared.\n")


def test_reproduce_trains_again_and_agrees_exactly(zoo: Zoo, run: Path) -> None:
    result = zoo("reproduce", run, "--tolerance", "0", "--folder", "again")
    assert result.code == 0
    assert result.out.endswith(f"{run}: all 2 metrics agree within 0 %.\n")
    assert "run again\n" in result.err
    ours, theirs = (
        read_header(run / "model.safetensors").metadata,
        read_header(Path("again/model.safetensors")).metadata,
    )
    assert ours["metrics"] == theirs["metrics"]
    assert ours["recipe"] == theirs["recipe"]


def test_reproduce_ends_with_1_if_the_metrics_differ(zoo: Zoo, run: Path) -> None:
    result = zoo("reproduce", altered(run, error=0.0), "--folder", "again", "--json")
    assert result.code == 1
    assert json.loads(result.out)["match"] is False


@pytest.mark.parametrize("command", ["weights list", "list weights"])
def test_escape_sequences_of_a_registry_are_shown_and_not_sent_to_the_terminal(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = tmp_path / "escapes.yaml"
    registry.write_text('weights:\n  a: {alias: "b\\e]0;title\\a\\e[31mred\\u202e\\x9b31m"}\n')
    _exit_code([*command.split(), "--registry", str(registry)])
    out = capsys.readouterr().out
    assert "b\\x1b]0;title\\x07\\x1b[31mred\\u202e\\x9b31m" in out
    assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(out)
