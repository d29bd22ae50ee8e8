"""`zoo weights …`, `zoo eval`, `zoo reproduce` and `zoo info FILE`, as a person types them."""

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
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


Zoo = Callable[..., Said]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    tiny.train(folder, "run.steps=12")
    return folder


@pytest.fixture
def zoo(
    tmp_path: Path, tiny_installed: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Zoo:
    """The command ``zoo`` in an empty working folder, with the plugin of tiny.py."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("ZOO_TRACEBACK", "")
    monkeypatch.delenv("ZOO_OFFLINE", raising=False)

    def zoo(*words: object) -> Said:
        code = _exit_code([str(word) for word in words])
        return Said(code, *capsys.readouterr())

    return zoo


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a folder ``served`` that a server on this machine gives out."""

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


def publish_here(**entries: dict[str, object]) -> None:
    """Let ``registry.yaml`` of the working folder list these weights; ``at`` in a name is an at sign."""
    named = {name.replace("_at_", "@").replace("_", "-"): values for name, values in entries.items()}
    Path("registry.yaml").write_text(yaml.safe_dump({"weights": named}))


def altered(run: Path, **metrics: float) -> Path:
    """The run's weights, which state other figures."""
    path = run / "model.safetensors"
    metadata = read_header(path).metadata
    changed = {**metadata, "metrics": {**metadata["metrics"], **metrics}}
    write(Path("altered.safetensors"), read_tensors(path), changed)
    return Path("altered.safetensors")


def rows_of(said: Said) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in json.loads(said.out)}


def test_the_list_shows_size_licence_figures_and_whether_each_is_here(zoo: Zoo, run: Path) -> None:
    here = run / "model.safetensors"
    publish_here(
        mine=entry(here, model="line", metrics={"error": 0.25}),
        away=entry(here, "https://example.com/a.safetensors", size=3 * 2**20, deprecated="use mine"),
        gone=entry(here, "gone.safetensors"),
        also={"alias": "mine"},
        bad={"location": "a.safetensors"},
    )
    rows = rows_of(zoo("weights", "list", "--json"))
    assert rows["mine"] == {
        "name": "mine", "model": "line", "size": "0.0 MiB", "license": "MIT", "state": "here", "metrics": "error 0.25",
    }  # fmt: skip
    assert (rows["away"]["state"], rows["away"]["size"]) == ("to be fetched, deprecated", "3.0 MiB")
    assert rows["gone"]["state"] == "missing"
    assert rows["also"]["state"] == "is mine"
    assert rows["bad"]["state"] == "broken"
    assert "weights 'bad' have no sha256" in rows["bad"]["metrics"]
    assert "digit-classifier-mnist" in rows  # a plugin's

    table = zoo("weights", "list")
    assert (table.code, table.err) == (0, "")
    assert table.out.splitlines()[0].split() == ["name", "model", "size", "license", "state", "metrics"]
    assert [line.split()[0] for line in table.out.splitlines()[1:]] == list(rows)


def test_info_of_weights_shows_what_the_registry_and_the_file_say(zoo: Zoo, run: Path) -> None:
    publish_here(mine=entry(run / "model.safetensors", summary="A line", metrics={"error": 0.25}))
    said = zoo("weights", "info", "mine", "--json")
    told = json.loads(said.out)
    assert (told["weights"]["summary"], told["weights"]["license"]) == ("A line", "MIT")
    assert told["file"]["recipe"] == "line"
    assert "weights mine: A line" in zoo("weights", "info", "mine").out
    publish_here(away=entry(run / "model.safetensors", "https://example.com/a.safetensors"))
    assert json.loads(zoo("weights", "info", "away", "--json").out).keys() == {"weights"}


def test_info_of_a_file_shows_its_header_and_of_a_name_what_it_stands_for(zoo: Zoo, run: Path) -> None:
    said = zoo("info", run / "model.safetensors")
    metadata = read_header(run / "model.safetensors").metadata
    assert (said.code, said.err) == (0, "")
    shown = {tuple(line.split()[:2]) for line in said.out.splitlines() if line.strip()}
    metric = f"{metadata['metrics']['error']:.5g}"
    assert {("model", "line"), ("recipe", "line"), ("steps", "12"), ("seed", "0"), ("error", metric)} <= shown
    assert ("model.inputs", "3") in shown
    assert "Mean absolute error of the heights" in said.out
    assert "error/points" not in said.out
    publish_here(mine=entry(run / "model.safetensors", summary="A line"))
    assert "weights mine: A line" in zoo("info", "mine").out


def test_info_of_a_pickle_is_refused_with_what_to_type(zoo: Zoo) -> None:
    pickles.save({"w": torch.zeros(2)}, "a.safetensors")
    said = zoo("info", "a.safetensors")
    assert (said.code, said.out) == (2, "")
    assert said.err.splitlines()[0].startswith("error: a.safetensors is a pickle, which can run any code")
    assert said.err.splitlines()[1].endswith("zoo weights convert a.safetensors --model NAME -o NEW.safetensors")


def test_pull_fetches_path_tells_and_remove_deletes(
    zoo: Zoo, run: Path, served: str, tmp_path: Path, zoo_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = run / "model.safetensors"
    (tmp_path / "served" / "line.safetensors").write_bytes(weights.read_bytes())
    publish_here(away_at_1=entry(weights, f"{served}/line.safetensors"), also={"alias": "away"})

    pulled = zoo("weights", "pull", "also")
    kept = zoo_home / "weights" / f"away@1.{hashlib.sha256(weights.read_bytes()).hexdigest()[:12]}.safetensors"
    assert (pulled.code, pulled.out) == (0, f"away@1: {kept}\n")
    assert kept.read_bytes() == weights.read_bytes()
    assert rows_of(zoo("weights", "list", "--json"))["away@1"]["state"] == "here"

    monkeypatch.setenv("ZOO_OFFLINE", "1")
    assert zoo("weights", "path", "away").out == f"{kept}\n"
    assert zoo("eval", "away", "--device", "cpu").code == 0

    removed = zoo("weights", "remove", "away")
    assert (removed.code, removed.out) == (0, f"away@1: {weights.stat().st_size:,} bytes freed\n")
    assert not kept.exists()
    assert zoo("weights", "remove", "away").out == "away@1: was not here\n"
    offline = zoo("weights", "path", "away")
    assert (offline.code, offline.out) == (2, "")
    assert "weights 'away@1' are not on this machine, and fetching is switched off." in offline.err
    assert "zoo weights pull away@1" in offline.err


def test_pull_all_fetches_each_once(zoo: Zoo, run: Path, served: str, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "served" / f"{name}.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    source = run / "model.safetensors"
    publish_here(
        one=entry(source, f"{served}/one.safetensors"),
        two=entry(source, f"{served}/two.safetensors"),
        also={"alias": "one"},
    )
    said = zoo("weights", "pull", "--all")
    assert said.code == 0
    assert {line.partition(":")[0] for line in said.out.splitlines()} >= {"one", "two"}
    assert "also" not in said.out


def test_what_was_not_fetched_is_not_removed(zoo: Zoo, run: Path) -> None:
    publish_here(mine=entry(run / "model.safetensors"))
    for name, owner in (("mine", str(Path("registry.yaml").absolute())), ("digit-classifier-mnist", "the plugin '")):
        said = zoo("weights", "remove", name)
        assert said.code == 2
        assert f"error: weights '{name}' were not fetched: " in said.err
        assert f"belongs to {owner}" in said.err
    assert (run / "model.safetensors").is_file()


def test_verify_reads_anew_what_is_here_and_ends_with_1_if_one_is_bad(zoo: Zoo, run: Path) -> None:
    good = Path("good.safetensors")
    good.write_bytes((run / "model.safetensors").read_bytes())
    publish_here(good=entry(good), away=entry(good, "https://example.com/a.safetensors"), also={"alias": "good"})

    rows = zoo("weights", "verify", "--json")
    assert rows.code == 0
    states = {name: row["state"] for name, row in rows_of(rows).items()}
    parameters = sum(one.numel() for one in tiny.Line(tiny.Line.Config()).parameters())
    assert states["good"] == f"good ({parameters:,} parameters)"
    assert states["away"] == "to be fetched"
    assert "also" not in states

    good.write_bytes(good.read_bytes()[:-1] + b"x")
    said = zoo("weights", "verify", "good", "--json")
    assert said.code == 1
    assert rows_of(said)["good"]["state"] == "bad"
    assert "has sha256" in rows_of(said)["good"]["why"]
    assert zoo("weights", "verify").code == 1


def test_one_bad_entry_keeps_no_other_from_being_verified_or_pulled(zoo: Zoo, run: Path) -> None:
    good = Path("good.safetensors")
    good.write_bytes((run / "model.safetensors").read_bytes())
    publish_here(bad={"location": "x"}, good=entry(good), lost={**entry(good), "location": "lost.safetensors"})

    said = zoo("weights", "verify", "--json")
    rows = rows_of(said)
    assert said.code == 1
    assert (rows["bad"]["state"], rows["lost"]["state"]) == ("bad", "bad")
    assert "weights 'bad' have no sha256." in rows["bad"]["why"]
    assert "lost.safetensors does not exist." in rows["lost"]["why"]
    assert rows["good"]["state"].startswith("good (")

    said = zoo("weights", "pull", "--all")
    assert said.code == 1
    assert f"good: {good.absolute()}" in said.out


def test_verify_finds_a_file_whose_sum_is_right_and_which_is_no_weights(zoo: Zoo) -> None:
    Path("text.safetensors").write_text("hello, this is a text")
    publish_here(text=entry(Path("text.safetensors")))
    said = zoo("weights", "verify", "text", "--json")
    assert (said.code, rows_of(said)["text"]["state"]) == (1, "bad")
    assert "is no safetensors file" in rows_of(said)["text"]["why"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["weights", "pull"], "no weights are named."),
        (["weights", "remove"], "no weights are named."),
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
def test_a_mistake_says_what_to_type_and_writes_nothing(zoo: Zoo, words: list[str], problem: str) -> None:
    said = zoo(*words)
    assert (said.code, said.out) == (2, "")
    assert problem in said.err.splitlines()[0]
    assert len(said.err.splitlines()) <= 2
    assert list(Path().iterdir()) == []


def test_publish_prints_an_entry_that_loads_once_pasted(zoo: Zoo, run: Path) -> None:
    said = zoo("weights", "publish", run, "--license", "MIT", "--summary", "A line", "--dtype", "float16")
    assert said.code == 0
    assert said.err.splitlines() == ["wrote line.safetensors", "wrote line.md", "wrote line.png"]
    Path("registry.yaml").write_text(said.out)
    checked = zoo("eval", "line", "--tolerance", "0", "--device", "cpu")
    assert (checked.code, checked.err) == (0, "")
    assert checked.out.endswith("line: all 2 figures are as stated, within 0 %.\n")
    again = zoo("weights", "publish", run, "--license", "MIT")
    assert (again.code, again.out) == (2, "")
    assert "line.safetensors already exists, and is not overwritten." in again.err


def test_convert_writes_a_file_that_loads(zoo: Zoo) -> None:
    pickles.save({"state": tiny.Line(tiny.Line.Config(inputs=5)).state_dict()}, "line.pt")
    words = ["weights", "convert", "line.pt", "inputs=5", "--model", "line", "-o", "line.safetensors"]
    said = zoo(*words, "--key", "state")
    assert (said.code, said.out, said.err) == (0, "", "wrote line.safetensors\n")
    assert read_header(Path("line.safetensors")).metadata["config"] == {"inputs": 5}
    (missing,) = zoo(*words[:-1], "b.safetensors").err.splitlines()[:1]
    expected = "line.pt can't be converted: it contains 'state' (OrderedDict); select the state dict with --key."
    assert missing == f"error: {expected}"


def test_eval_measures_every_figure_again(zoo: Zoo, run: Path) -> None:
    for source in (run, run / "model.safetensors"):
        said = zoo("eval", source)
        assert (said.code, said.err) == (0, "")
        *table, hidden, verdict = said.out.splitlines()
        assert table[0].split() == ["metric", "expected", "measured", "match"]
        assert (table[1].split()[0], table[1].split()[-1], len(table)) == ("error", "yes", 2)
        assert hidden == "and 1 detail, which agrees, too"
        assert verdict == f"{source}: all 2 figures are as stated, within 1 %."


@pytest.mark.parametrize("metric", ["error", "error/points"])
def test_eval_ends_with_1_where_a_figure_was_altered_and_shows_it(zoo: Zoo, run: Path, metric: str) -> None:
    said = zoo("eval", altered(run, **{metric: 1234.0}))
    assert said.code == 1
    (row,) = [line.split() for line in said.out.splitlines() if line.split()[0] == metric]
    assert (row[1], row[3]) == ("1234", "no")
    assert said.out.endswith("altered.safetensors: 1 of 2 figures are not as stated.\n")

    as_json = zoo("eval", "altered.safetensors", "--json")
    assert as_json.code == 1
    told = json.loads(as_json.out)
    assert (told["match"], told["same_data"]) == (False, True)
    assert [row["metric"] for row in told["metrics"] if not row["match"]] == [metric]


def test_eval_on_other_data_says_that_nothing_was_compared(zoo: Zoo, run: Path) -> None:
    said = zoo("eval", run, "dataset.count=40")
    assert said.code == 1
    assert said.out.endswith("measured on other data than its figures, so they say nothing of one another.\n")


def test_a_figure_within_the_tolerance_agrees(zoo: Zoo, run: Path) -> None:
    stated = read_header(run / "model.safetensors").metadata["metrics"]["error"]
    path = altered(run, error=stated * 1.02)
    assert zoo("eval", path).code == 1
    assert zoo("eval", path, "--tolerance", "0.05").code == 0


def test_reproduce_trains_again_and_agrees_exactly(zoo: Zoo, run: Path) -> None:
    said = zoo("reproduce", run, "--tolerance", "0", "--folder", "again")
    assert said.code == 0
    assert said.out.endswith(f"{run}: all 2 figures are as stated, within 0 %.\n")
    assert "run again\n" in said.err
    ours, theirs = (
        read_header(run / "model.safetensors").metadata,
        read_header(Path("again/model.safetensors")).metadata,
    )
    assert ours["metrics"] == theirs["metrics"]
    assert ours["recipe"] == theirs["recipe"]


def test_reproduce_ends_with_1_where_the_figures_are_others(zoo: Zoo, run: Path) -> None:
    said = zoo("reproduce", altered(run, error=0.0), "--folder", "again", "--json")
    assert said.code == 1
    assert json.loads(said.out)["match"] is False
