"""Starting from weights: what is loaded, what is refused and recorded, and that a resume needs them no more."""

import json
import shutil
import warnings

import pickles
import pytest
import strange_models
import tiny
import torch
from safetensors.torch import save_file

from zoo_core.config.recipe import read_config
from zoo_core.errors import BadFile, BadSetting, RunFailed, UnknownName
from zoo_core.loggers import standard
from zoo_core.registry.resolve import resolve
from zoo_core.runs.folder import RunFolder
from zoo_core.tools.evaluate import reproduce
from zoo_core.tools.publish import publish
from zoo_core.training.init_from import load_start_weights
from zoo_core.training.resume import recipe_of
from zoo_core.training.runner import run_recipe
from zoo_core.weights.format import read_tensors, write
from zoo_core.weights.header import read_header
from zoo_core.weights.values import same_bits


def train(folder, *words, catalog=None, callbacks=()):
    resolved = resolve(tiny.RECIPE.with_overrides(["run.device=cpu", *words]), catalog or tiny.catalog())
    return run_recipe(resolved, [*standard(), *callbacks], folder)


def untrained(folder, *words, catalog=None):
    """The tensors of a model before its first step."""
    return train(folder, "run.steps=0", *words, catalog=catalog).model.state_dict()


def resolved_with(*words):
    return resolve(tiny.RECIPE.with_overrides([*words]), tiny.catalog())


def start_of(folder):
    return json.loads((folder / "environment.json").read_text())["init_from"]


def same(one, other):
    return one.keys() == other.keys() and all(same_bits(one[name], other[name]) for name in one)


def test_a_run_starts_from_weights_by_name_from_a_run_and_from_a_file(tmp_path, file, tensors, listed):
    path = file({"layers.0.weight": torch.full((4, 3), 0.25)})
    expected = {**tensors, "layers.0.weight": torch.full((4, 3), 0.25)}
    assert not same(untrained(tmp_path / "new"), expected)
    assert same(untrained(tmp_path / "by-name", "run.init_from=my-line", catalog=listed(path)), expected)
    assert same(untrained(tmp_path / "by-file", f"run.init_from={path}"), expected)
    assert same(untrained(tmp_path / "by-run", f"run.init_from={tmp_path / 'by-file'}"), expected)


def test_a_run_that_starts_from_its_own_initial_weights_is_the_same_bit_for_bit(tmp_path):
    untrained(tmp_path / "initial")
    one, other = train(tmp_path / "one"), train(tmp_path / "other", f"run.init_from={tmp_path / 'initial'}")
    assert same(one.model.state_dict(), other.model.state_dict())
    assert (one.path / "metrics.jsonl").read_bytes() == (other.path / "metrics.jsonl").read_bytes()


def test_weights_that_do_not_fit_are_refused_with_every_kind_of_difference(tmp_path, file):
    path = file({"layers.0.bias": None, "layers.1.bias": None, "layers.9.bias": torch.ones(2)})
    with pytest.raises(BadFile) as refused:
        train(tmp_path / "run", f"run.init_from={path}", "model.inputs=5")
    assert refused.value.message == (
        f"run.init_from: '{path}' does not fit Line: the file lacks layers.0.bias (4,), layers.1.bias (4,); "
        "only the file has layers.9.bias (2,); other shapes in the file: layers.0.weight (4, 3) instead of (4, 5)."
    )
    assert refused.value.hint == (
        "Write `run.init_strict=false` to load the 6 tensors that fit; the others keep their initial values."
    )
    assert not (tmp_path / "run").exists()


def test_of_many_names_that_do_not_fit_a_few_are_shown(tmp_path, file):
    path = file({f"extra.{number}": torch.ones(1) for number in range(2000)})
    with pytest.raises(BadFile, match=r"only the file has extra\.0 \(1,\), .*, 1,997 more\."):
        train(tmp_path / "run", f"run.init_from={path}")
    with pytest.warns(UserWarning, match="gives all 9 tensors of Line: only the file has") as caught:
        train(tmp_path / "run", f"run.init_from={path}", "run.init_strict=false", "run.steps=1")
    assert len(str(caught[0].message)) < 400
    listed = start_of(tmp_path / "run")["left_out"]["unexpected"]
    assert (len(listed), listed[-1]) == (1001, "1,000 more")


def test_with_init_strict_false_what_fits_is_loaded_and_the_rest_is_as_without(tmp_path, file, tensors):
    new = untrained(tmp_path / "new")
    path = file({"layers.0.weight": torch.ones(4, 5), "layers.0.bias": None, "layers.9.bias": torch.ones(2)})
    with pytest.warns(UserWarning, match="run.init_from") as caught:
        found = untrained(tmp_path / "run", f"run.init_from={path}", "run.init_strict=false")
    (note,) = [str(one.message) for one in caught]
    assert note == (
        f"run.init_from: '{path}' gives 7 of the 9 tensors of Line, and the others keep their initial values: "
        "the file lacks layers.0.bias (4,); only the file has layers.9.bias (2,); other shapes in the file: "
        "layers.0.weight (4, 5) instead of (4, 3)."
    )
    kept = {"layers.0.weight", "layers.0.bias"}
    assert same(found, {name: (new if name in kept else tensors)[name] for name in new})
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert note in environment["warnings"]
    assert environment["init_from"]["left_out"] == {
        "missing": ["layers.0.bias (4,)"],
        "unexpected": ["layers.9.bias (2,)"],
        "mismatched": ["layers.0.weight (4, 5) instead of (4, 3)"],
    }


def test_weights_that_fit_give_no_note(tmp_path, file):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(tmp_path / "run", f"run.init_from={file()}", "run.init_strict=false", "run.steps=1")
    assert start_of(tmp_path / "run")["left_out"] == {}


@pytest.mark.parametrize("strict", ["true", "false"])
@pytest.mark.parametrize("statistics", [True, False])
def test_weights_of_which_no_parameter_fits_are_always_refused(tmp_path, file, tensors, strict, statistics):
    others = {name: None for name in tensors if not (statistics and "running" in name)}
    path = file({**others, "conv.weight": torch.ones(2)})
    with pytest.raises(BadFile, match=r"no parameter of Line is in .*only the file has conv.weight") as refused:
        train(tmp_path / "run", f"run.init_from={path}", f"run.init_strict={strict}")
    assert "init_strict" not in refused.value.hint


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        ("my-lime", UnknownName, "run.init_from: no weights are called 'my-lime'."),
        ("gone/model.safetensors", UnknownName, "run.init_from: gone/model.safetensors does not exist."),
        ("https://example.com/a.safetensors", UnknownName, "run.init_from: https://.* is a URL"),
        ("empty", BadFile, "run.init_from: .*empty holds no model.safetensors."),
        ("pickle.pt", BadFile, "run.init_from: .*pickle.pt is a pickle"),
        ("nan.safetensors", BadFile, "run.init_from: .*'layers.0.weight' holds NaN or infinite values"),
        ("large.safetensors", BadFile, "run.init_from: .*'layers.0.weight' holds values that are too large"),
        ("integers.safetensors", BadFile, "run.init_from: .*'layers.0.weight' has type I64, but Line has float32"),
        ("cut.safetensors", BadFile, "run.init_from: .*is not a safetensors file"),
    ],
)
def test_a_source_that_cannot_be_loaded_is_refused_and_leaves_no_run(
    tmp_path, tensors, monkeypatch, file, source, kind, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    pickles.save(tensors, tmp_path / "pickle.pt")
    shape = (4, 3)
    save_file({**tensors, "layers.0.weight": torch.full(shape, torch.nan)}, "nan.safetensors")
    save_file({**tensors, "layers.0.weight": torch.full(shape, 1e300, dtype=torch.float64)}, "large.safetensors")
    save_file({**tensors, "layers.0.weight": torch.ones(shape, dtype=torch.int64)}, "integers.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(file().read_bytes()[:300])
    for strict in ("true", "false"):
        with pytest.raises(kind, match=message):
            train(tmp_path / "run", f"run.init_from={source}", f"run.init_strict={strict}")
    assert not (tmp_path / "run").exists()


def test_a_safetensors_file_of_another_library_is_loaded_in_the_types_of_the_model(tmp_path, tensors):
    halves = {name: one.half() if one.is_floating_point() else one for name, one in tensors.items()}
    save_file(halves, tmp_path / "other.safetensors")
    found = untrained(tmp_path / "run", f"run.init_from={tmp_path / 'other.safetensors'}")
    assert same(found, {name: one.float() if one.is_floating_point() else one for name, one in halves.items()})
    assert start_of(tmp_path / "run").keys() == {"name", "kind", "sha256", "strict", "tensors", "left_out"}


def test_tied_tensors_may_be_stored_once_but_not_with_two_values(tmp_path):
    model = strange_models.Tied.from_settings({})
    weight = torch.randn_like(model.head.weight)
    save_file({"embedding.weight": weight}, tmp_path / "once.safetensors")
    start = load_start_weights(model, resolved_with(f"run.init_from={tmp_path / 'once.safetensors'}"))
    assert model.head.weight is model.embedding.weight
    assert same_bits(model.head.weight, weight)
    assert start.note == ""
    save_file({name: torch.randn_like(weight) for name in model.state_dict()}, tmp_path / "twice.safetensors")
    with pytest.raises(BadFile, match=r"'embedding.weight' and 'head.weight' differ, but Tied ties them"):
        load_start_weights(model, resolved_with(f"run.init_from={tmp_path / 'twice.safetensors'}"))


def test_the_layout_of_parameters_and_tensors_outside_the_state_dict_are_kept(tmp_path):
    model, other = (strange_models.Transposed.from_settings({}) for _ in range(2))
    save_file({name: one.contiguous() for name, one in other.state_dict().items()}, tmp_path / "other.safetensors")
    stride = model.layer.weight.stride()
    load_start_weights(model, resolved_with(f"run.init_from={tmp_path / 'other.safetensors'}"))
    assert same(model.state_dict(), other.state_dict())
    assert model.layer.weight.stride() == stride


def test_a_lazy_model_takes_the_shapes_of_the_file(tmp_path):
    model, other = (strange_models.Lazy.from_settings({}) for _ in range(2))
    other(torch.ones(2, 5))
    save_file(other.state_dict(), tmp_path / "other.safetensors")
    load_start_weights(model, resolved_with(f"run.init_from={tmp_path / 'other.safetensors'}"))
    assert same(model.state_dict(), other.state_dict())


def test_the_start_is_recorded_without_folders_in_the_run_its_weights_and_their_card(tmp_path, file, listed):
    path = file()
    here = listed(path, "my-line@2")
    train(tmp_path / "first", "run.init_from=my-line@2", "run.steps=2", catalog=here)
    train(tmp_path / "second", f"run.init_from={tmp_path / 'first'}", "run.steps=2")
    train(tmp_path / "third", f"run.init_from={tmp_path / 'second' / 'model.safetensors'}", "run.steps=2")
    expected = {"name": "my-line", "version": "2", "kind": "weights", "model": "line", "license": "MIT"}
    assert expected.items() <= start_of(tmp_path / "first").items()
    assert start_of(tmp_path / "first")["sha256"] in (tmp_path / "listed.yaml").read_text()
    assert start_of(tmp_path / "second")["name"] == "first"
    assert start_of(tmp_path / "third")["name"] == "model.safetensors"
    for name in ("first", "second", "third"):
        header = read_header(tmp_path / name / "model.safetensors")
        assert header.metadata["init_from"] == start_of(tmp_path / name)
        published = publish(tmp_path / name, "MIT", tmp_path / "published" / f"{name}.safetensors", here)
        card = published.card.read_text()
        assert f"| started from | `{start_of(tmp_path / name)['name']}" in card
        assert start_of(tmp_path / name)["sha256"] in card
        assert str(tmp_path) not in card + json.dumps(read_header(published.weights).metadata)


def test_a_resumed_run_gives_the_same_and_needs_the_weights_no_more(tmp_path, file):
    path = file()
    words = f"run.init_from={path}"
    train(tmp_path / "whole", words)
    train(tmp_path / "stopped", words, callbacks=[tiny.Watcher(stop_at=15)])
    path.unlink()
    tiny.resume(tmp_path / "stopped")
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("lost", ["environment.json", "config.yaml"])
def test_a_resumed_run_that_has_lost_a_file_still_knows_what_it_started_from(tmp_path, file, lost):
    train(tmp_path / "run", f"run.init_from={file()}", callbacks=[tiny.Watcher(stop_at=15)])
    start = start_of(tmp_path / "run")
    (tmp_path / "run" / lost).write_bytes(b"\0")
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        run_recipe(resolve(recipe_of(RunFolder(tmp_path / "run")), tiny.catalog()), (), tmp_path / "run", resume=True)
    assert start_of(tmp_path / "run") == start
    assert read_header(tmp_path / "run" / "model.safetensors").metadata["init_from"] == start


def test_a_run_that_is_resumed_before_its_first_checkpoint_loads_the_weights_again(tmp_path, file):
    path = file()
    train(tmp_path / "whole", f"run.init_from={path}")
    train(tmp_path / "killed", f"run.init_from={path}", callbacks=[tiny.Watcher(stop_at=5)])
    for name in ("checkpoints", "metrics.jsonl", "model.safetensors"):
        target = tmp_path / "killed" / name
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    before = (tmp_path / "killed" / "environment.json").read_bytes()
    path = file({"layers.0.weight": torch.zeros(4, 3)})
    with pytest.raises(BadSetting, match="not those that the run started from: their SHA-256 was"):
        tiny.resume(tmp_path / "killed")
    assert (tmp_path / "killed" / "environment.json").read_bytes() == before
    file()
    with pytest.warns(UserWarning, match="starts again at step 0"):
        tiny.resume(tmp_path / "killed")
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("changed", ["run.init_from=null", "run.init_strict=false", "run.freeze=[layers.0]"])
def test_a_resume_cannot_change_the_start(tmp_path, file, changed):
    train(tmp_path / "run", f"run.init_from={file()}", callbacks=[tiny.Watcher(stop_at=5)])
    recipe = read_config(tmp_path / "run" / "config.yaml").with_overrides([changed])
    with pytest.raises(BadSetting, match=f"the run was started with other settings: {changed.partition('=')[0]}"):
        run_recipe(resolve(recipe, tiny.catalog()), (), tmp_path / "run", resume=True)


def test_a_fine_tuned_run_is_reproduced_from_the_same_weights_only(tmp_path, file):
    path = file()
    train(tmp_path / "run", f"run.init_from={path}")
    _, comparison = reproduce(tmp_path / "run", tiny.catalog(), [], 0.0, folder=tmp_path / "again")
    assert comparison.match
    file({"layers.0.weight": torch.zeros(4, 3)})
    with pytest.raises(BadSetting, match="not those that the run started from"):
        reproduce(tmp_path / "run", tiny.catalog(), [], 0.0, folder=tmp_path / "third")
    assert not (tmp_path / "third").exists()


class Reinitializing(tiny.LineTrainer):
    def setup(self, model, engine):
        torch.nn.init.normal_(model.layers[2].weight)
        super().setup(model, engine)


def test_a_trainer_whose_setup_overwrites_the_weights_is_refused(tmp_path, file):
    here = tiny.catalog_with(Reinitializing)
    with pytest.raises(RunFailed, match=r"setup of the trainer 'other' overwrites 'layers.2.weight', which was loaded"):
        train(tmp_path / "run", "trainer.name=other", f"run.init_from={file()}", catalog=here)
    assert not (tmp_path / "run").exists()
    train(tmp_path / "run", "trainer.name=other", "run.steps=1", catalog=here)


def test_weights_of_a_file_that_is_written_over_later_were_copied(tmp_path, file, tensors):
    path = file()
    model = tiny.Line(tiny.Line.Config())
    load_start_weights(model, resolved_with(f"run.init_from={path}"))
    content = bytearray(path.read_bytes())
    content[-64:] = bytes(64)
    with path.open("r+b") as opened:
        opened.write(content)
    assert same(model.state_dict(), tensors)


def test_loading_draws_no_random_numbers(tmp_path, file):
    model, path = tiny.Line(tiny.Line.Config()), file()
    before = torch.get_rng_state()
    load_start_weights(model, resolved_with(f"run.init_from={path}"))
    assert torch.equal(torch.get_rng_state(), before)
    assert read_tensors(path).keys() == model.state_dict().keys()


def test_the_setting_of_weights_of_other_settings_is_kept(tmp_path):
    write(tmp_path / "wide.safetensors", tiny.Line(tiny.Line.Config(inputs=5)).state_dict(), tiny.METADATA)
    with pytest.raises(BadFile, match=r"layers\.0\.weight \(4, 5\) instead of \(4, 3\)"):
        train(tmp_path / "run", f"run.init_from={tmp_path / 'wide.safetensors'}")
