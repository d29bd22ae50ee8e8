"""``zoo report``: the contents of the page, and what is kept out of it."""

import json
import math
import os
import re
import subprocess
import sys
from html.parser import HTMLParser

import kinds_plugin
import pytest
import tiny
import torch
from click.testing import CliRunner

import zoo_core as zoo
from zoo_core.cli import cli
from zoo_core.data.value_output import save_value
from zoo_core.errors import BadSetting, NameTaken, RunFailed
from zoo_core.registry.catalog import Catalog
from zoo_core.tools.report.curves import MAX_POINTS, read_curves
from zoo_core.tools.report.page import render
from zoo_core.tools.report.previews import MAX_FRAMES, read_previews
from zoo_core.tools.report.read import read_run

REGISTRY = """
recipes:
  line:
    model: {name: line}
    dataset: {name: points}
    trainer: {name: line, learning_rate: 0.5}
    run: {steps: 30}
weights:
  line-good:
    location: line.safetensors
    sha256: "%s"
    license: Apache-2.0
    recipe: line
    metrics: {error: 0.125}
""" % ("0" * 64)


class Page(HTMLParser):
    """The references, tags, text and embedded data of a page."""

    def __init__(self, html):
        super().__init__()
        self.references, self.tags, self.text, self.data, self._inside = [], [], "", "", ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._inside = dict(attrs).get("type") or tag
        self.references += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "poster")]

    def handle_data(self, text):
        if self._inside == "application/json":
            self.data += text
        elif self._inside not in ("script", "style"):
            self.text += text

    def handle_endtag(self, tag):
        self._inside = ""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("done") / "first"
    tiny.train(folder)
    return folder


@pytest.fixture
def registry(tmp_path):
    path = tmp_path / "registry.yaml"
    path.write_text(REGISTRY)
    return path


def page_of(*folders, registries=()):
    here = Catalog(registries, installed=False)
    return Page(render([read_run(folder, here) for folder in folders]))


def test_the_page_of_a_completed_run_has_all_sections(done):
    page = page_of(done)
    data = json.loads(page.data)
    assert {chart["name"] for chart in data["charts"]} == {"loss"}
    assert data["charts"][0]["curves"][0]["steps"] == [5, 10, 15, 20, 25, 30]
    assert [frame["step"] for frame in data["previews"][0]] == [10, 20, 30]
    for part in ("done", "trainer.learning_rate", "versions torch", "peak memory", "error", "data fingerprint"):
        assert part in page.text, part


def test_the_evaluation_table_has_the_test_metrics_and_not_the_train_metrics(done):
    report = read_run(done, Catalog(installed=False))
    assert {"error", "error/points"} == report.test_metrics.keys()
    assert report.train_metrics.keys() == {"loss"}
    table = render([report]).partition('<h2 id="evaluation">')[2].partition("</section>")[0]
    assert '<th scope="row">error</th>' in table
    assert f"{report.test_metrics['error']:.4g}" in table
    assert "loss" not in table


def test_the_page_loads_no_other_resources(done):
    page = page_of(done)
    assert page.references
    assert all(reference.startswith("data:") for reference in page.references)
    assert not {"iframe", "object", "embed"} & set(page.tags)
    html = render([read_run(done, Catalog(installed=False))])
    assert not re.search(r"url\(|@import|\bfetch\(|XMLHttpRequest", html)


def test_settings_that_differ_from_the_recipe_and_published_metrics_are_shown(done, registry):
    report = read_run(done, Catalog([registry], installed=False))
    differing = {one.key: (one.value, one.recipe) for one in report.settings if one.differs}
    assert differing["trainer.learning_rate"] == ("0.01", "0.5")
    assert differing["run.batch_size"] == ("8", "64")
    assert "run.steps" not in differing
    page = page_of(done, registries=[registry])
    assert "published: line-good" in page.text
    assert "0.125" in page.text


def test_two_runs_share_their_charts(done, tmp_path):
    other = tmp_path / "second"
    tiny.train(other, "trainer.learning_rate=0.05")
    page = page_of(done, other)
    data = json.loads(page.data)
    assert data["runs"] == ["first", "second"]
    assert all(curve is not None for curve in data["charts"][0]["curves"])
    assert "0.05" in page.text


def test_html_in_the_files_of_a_run_is_escaped(done, tmp_path):
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
    folder = tmp_path / "hostile"
    folder.mkdir()
    config = (done / "config.yaml").read_text().replace("A line through points", f"'{hostile}'")
    (folder / "config.yaml").write_text(config)
    (folder / "metrics.jsonl").write_text(json.dumps({"step": 1, hostile: 2.0}) + "\n")
    (folder / "environment.json").write_text(json.dumps({"platform": hostile, "warnings": [hostile]}))
    page = page_of(folder)
    assert page.tags.count("script") == page_of(done).tags.count("script")
    assert all(not str(reference).startswith("x") for reference in page.references)
    assert json.loads(page.data)["charts"][0]["name"] == hostile
    assert hostile in page.text


def test_a_failed_run_shows_the_reason(tmp_path):
    with pytest.raises(RunFailed):
        tiny.train(tmp_path / "run", "trainer.raise_at=7")
    report = read_run(tmp_path / "run", Catalog(installed=False))
    assert report.state.word == "failed"
    assert report.state.why
    assert "failed" in page_of(tmp_path / "run").text


def test_a_run_with_only_its_config_has_a_page(done, tmp_path):
    (tmp_path / "config.yaml").write_bytes((done / "config.yaml").read_bytes())
    page = page_of(tmp_path)
    for part in ("unknown", "No metrics have been logged", "has no previews", "No evaluation yet"):
        assert part in page.text, part


def test_the_state_of_a_run_with_damaged_sessions_is_unknown(done, tmp_path):
    (tmp_path / "config.yaml").write_bytes((done / "config.yaml").read_bytes())
    (tmp_path / "sessions.json").write_text('[{"ended": "eaten"}]')
    report = read_run(tmp_path, Catalog(installed=False))
    assert (report.state.word, report.total_steps) == ("unknown", None)
    assert any("sessions.json can't be read: a session cannot end with 'eaten'" in note for note in report.notes)


def test_a_locked_run_is_running(done, tmp_path):
    (tmp_path / "config.yaml").write_bytes((done / "config.yaml").read_bytes())
    from zoo_core.runs.folder import RunFolder

    lock_folder = (
        "import sys, pathlib; from zoo_core.runs.folder import RunFolder\n"
        "with RunFolder(pathlib.Path(sys.argv[1])).locked(): print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", lock_folder, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        assert read_run(tmp_path, Catalog(installed=False)).state.word == "running"
        holder.communicate()
    assert RunFolder(tmp_path).is_locked() is False


def test_a_resumed_run_has_a_row_for_each_session(tmp_path, stops_at):
    tiny.train(tmp_path / "run", callbacks=[stops_at(12)])
    assert read_run(tmp_path / "run", Catalog(installed=False)).state.word == "stopped"
    tiny.resume(tmp_path / "run")
    report = read_run(tmp_path / "run", Catalog(installed=False))
    assert [(one.from_step, one.step) for one in report.sessions] == [(0, 12), (12, 30)]
    assert report.state.word == "done"


def test_a_value_that_is_not_finite_is_a_gap_and_a_damaged_line_adds_a_note(tmp_path):
    path, notes = tmp_path / "metrics.jsonl", []
    whole = [f'{{"step": {step}, "loss": {loss}}}\n' for step, loss in ((1, 1.0), (2, "null"), (3, 2.0))]
    path.write_text("".join([*whole, '{"step": 4, "loss": NaN}\n', '{"step": 5, "lo']))
    (curve,) = read_curves(path, notes)
    assert curve.values == [1.0, None, 2.0]
    assert notes == ["2 lines of metrics.jsonl could not be read and are left out."]


def test_a_curve_of_200_000_steps_keeps_its_extremes(tmp_path):
    path = tmp_path / "metrics.jsonl"
    values = {77_777: 99.0, 123_456: -99.0}
    path.write_text("".join(f'{{"step": {step}, "loss": {values.get(step, step % 7)}}}\n' for step in range(200_000)))
    (curve,) = read_curves(path, [])
    assert len(curve.steps) <= MAX_POINTS
    assert (max(curve.values), min(curve.values)) == (99.0, -99.0)
    assert (curve.steps[0], curve.steps[-1]) == (0, 199_999)


def test_of_many_previews_some_are_left_out_and_a_damaged_one_adds_a_note(done, tmp_path):
    image = (done / "previews" / "step-000010.png").read_bytes()
    for step in range(100):
        (tmp_path / f"step-{step:06d}.png").write_bytes(image)
    previews = read_previews(tmp_path)
    assert len(previews.tracks[0].frames) == MAX_FRAMES
    assert (previews.tracks[0].frames[0].step, previews.tracks[0].frames[-1].step) == (0, 99)
    assert previews.note.startswith("76 of 100 previews are left out")
    (tmp_path / "step-000099.png").write_bytes(b"not an image")
    with pytest.warns(UserWarning, match="can't be read as an image"):
        assert "1 could not be read" in read_previews(tmp_path).note


def test_the_command_overwrites_only_its_own_page(done, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "page.html"
    for _ in range(2):
        result = CliRunner().invoke(cli, ["report", str(done), "-o", str(place)], catch_exceptions=False)
        assert result.output == f"wrote {place}\n"
    place.write_text("my own")
    with pytest.raises(NameTaken, match="was not written by zoo report"):
        CliRunner().invoke(cli, ["report", str(done), "-o", str(place)], catch_exceptions=False)
    assert place.read_text() == "my own"
    with pytest.raises(BadSetting, match=r"has no config\.yaml"):
        CliRunner().invoke(cli, ["report", str(tmp_path)], catch_exceptions=False)
    CliRunner().invoke(cli, ["report", str(done)], catch_exceptions=False)
    assert (done / "report.html").is_file()


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kinds") / "run"
    kinds_plugin.train(folder)
    return folder


def test_a_preview_of_every_kind_is_on_the_page_and_escaped(kinds):
    page = page_of(kinds)
    data = json.loads(page.data)
    assert [title.split()[0].split("_")[1] for title in data["titles"]] == sorted(kinds_plugin.KINDS)
    assert all([frame["step"] for frame in frames] == [3, 6] for frames in data["previews"])
    shown = dict(zip(sorted(kinds_plugin.KINDS), data["previews"], strict=True))
    assert shown["text"][0]["text"] == f"step 3: {kinds_plugin.HOSTILE}"
    assert shown["table"][1]["columns"] == ["token", "loss"]
    assert shown["table"][1]["rows"] == [["=1+1", "0.125"], ["<b>b</b>", "-1"], ["c|d", "1e-09"], ["", "6"]]
    assert shown["audio"][0]["source"].startswith("data:audio/wav;base64,UklGR")
    assert (page.tags.count("pre"), page.tags.count("audio"), page.tags.count("b")) == (1, 1, 0)
    assert kinds_plugin.HOSTILE.split("\x1b")[0] in page.text
    assert "<b>b</b>" in page.text


def test_files_of_other_programs_among_the_previews_are_left_out_or_named(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "step-1.md").write_text("mine")
    (tmp_path / "step-000001-a.txt").write_bytes(b"\xff\x00 not UTF-8")
    (tmp_path / "step-000001-b.csv").write_text('a,b\n"unclosed')
    (tmp_path / "step-000001-c.wav").write_bytes(b"RIFF")
    (tmp_path / "step-000001-d.txt").mkdir()
    (tmp_path / "step-000001-e.csv").write_text("")
    os.mkfifo(tmp_path / "step-000001-f.txt")
    with pytest.warns(UserWarning, match="can't be read as") as said:
        previews = read_previews(tmp_path)
    assert [(track.name, track.kind) for track in previews.tracks] == [("a", "text"), ("e", "table")]
    assert previews.tracks[0].frames[0].content == {"text": "\N{REPLACEMENT CHARACTER}\x00 not UTF-8"}
    assert len(said) == 4
    assert previews.note == "4 could not be read."


def test_long_texts_and_tables_are_cut(tmp_path):
    (tmp_path / "step-000001.txt").write_text("x" * 10**6)
    (tmp_path / "step-000001.csv").write_text("a\n" + "1\n" * 10**5)
    table, text = (track.frames[0].content for track in read_previews(tmp_path).tracks)
    assert (len(table["rows"]), table["more"]) == (200, True)
    assert text["text"] == "x" * 20_000 + "\n\N{HORIZONTAL ELLIPSIS}"


def test_a_text_that_looks_like_a_number_is_shown_as_it_is(tmp_path):
    table = zoo.Table({"version": ["1.10", "007", "1_000", "nan", "1e5"], "loss": [0.1 + 0.2, 1.0, math.nan, -0.0, 7]})
    save_value(table, tmp_path / "step-000001.csv")
    (track,) = read_previews(tmp_path).tracks
    assert track.frames[0].content["rows"] == [
        ["1.10", "0.3"], ["007", "1"], ["1_000", "nan"], ["nan", "-0"], ["1e5", "7"],
    ]  # fmt: skip


def test_small_images_are_enlarged(tmp_path):
    save_value(torch.zeros(1, 1, 8, 4), tmp_path / "step-000001.png")
    (track,) = read_previews(tmp_path).tracks
    assert (track.frames[0].content["width"], track.frames[0].content["height"]) == (48, 96)


def test_a_recipe_that_is_not_installed_has_no_differences_to_state(kinds):
    page = page_of(kinds)
    assert "It is not known which settings differ from the recipe." in page.text
    assert "No settings differ" not in page.text


def test_if_previews_are_too_large_together_the_newest_of_every_name_are_shown(kinds, tmp_path):
    sound = (kinds / "previews" / "step-000003-my_audio_1.wav").read_bytes()
    for step in range(1, 6):
        for name in "ab":
            (tmp_path / f"step-{step:06d}-{name}.wav").write_bytes(sound)
    previews = read_previews(tmp_path, max_bytes=3 * 22_000)
    assert {track.name: [frame.step for frame in track.frames] for track in previews.tracks} == {"a": [1, 5], "b": [5]}
    assert previews.note == "7 of 10 previews are left out to limit the size of the page."
