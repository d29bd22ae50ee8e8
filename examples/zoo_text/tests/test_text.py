"""The plugin passes the conformance checks, takes its vocabulary from the text, and learns more than frequencies."""

import math
from collections import Counter
from pathlib import Path

import pytest
import torch

import zoo_core as zoo
from zoo_core.testing import conformance

SMALL = ["model.width=32", "model.layers=1", "dataset.context=16", "run.device=cpu"]
test_conforms = conformance("char-gpt", [*SMALL, "run.batch_size=8"])


def unigram_entropy(text: str) -> float:
    """The cross-entropy in nats of a model that knows how often each character occurs."""
    return -sum(count / len(text) * math.log(count / len(text)) for count in Counter(text).values())


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("Ünïcode 文字 and a zoo of animals.\n" * 60, encoding="utf-8")
    return path


def test_the_plugin_has_at_most_150_lines():
    files = (Path(__file__).parents[1] / "zoo_text").glob("*.py")
    assert sum(len(file.read_text().splitlines()) for file in files) <= 150


def test_a_short_training_learns_more_than_the_frequencies_of_characters(tmp_path):
    from pydoc_data.topics import topics

    run = zoo.run("char-gpt", *SMALL, "run.steps=200", folder=tmp_path / "run")
    assert run.test_metrics["loss"] < unigram_entropy("\n".join(topics.values())) - 0.3
    assert run.test_metrics["bits_per_character"] == pytest.approx(run.test_metrics["loss"] / math.log(2))


def test_the_weights_know_the_vocabulary_of_the_text_and_write_without_it(text_file, tmp_path):
    run = zoo.run("char-gpt", *SMALL, f"dataset.file={text_file}", "run.steps=2", folder=tmp_path / "run")
    vocabulary = "".join(sorted(set(text_file.read_text(encoding="utf-8"))))
    text_file.unlink()
    model = zoo.load(run.path)
    assert (model.config.vocabulary, model.config.context) == (vocabulary, 16)
    written = model.predict("文字", length=40)["text"]
    assert written.startswith("文字")
    assert len(written) == 42
    assert set(written) <= set(vocabulary)
    assert written == model.predict("文字", length=40)["text"] != model.predict("文字", length=40, seed=1)["text"]


def test_a_character_does_not_depend_on_those_after_it():
    torch.manual_seed(0)
    model = zoo.build("char-gpt", {"width": 32}).eval()
    text = torch.arange(20)[None]
    changed = text.clone()
    changed[0, 10:] = 0
    assert torch.allclose(model(text)[0, :10], model(changed)[0, :10], atol=1e-5)
    assert not torch.allclose(model(text)[0, 10:], model(changed)[0, 10:], atol=1e-3)


@pytest.mark.parametrize("settings", [{"prompt": "Q"}, {"prompt": ""}, {"prompt": "a", "temperature": 0}])
def test_a_prompt_that_can_not_be_continued_is_refused(settings):
    with pytest.raises(zoo.BadSetting):
        zoo.build("char-gpt").predict(**settings)


def test_the_splits_are_disjoint_parts_of_the_text(text_file):
    data = zoo.build("text-file", {"file": str(text_file), "context": 16}, kind="dataset")
    vocabulary, windows = data.provides()["vocabulary"], [*data.train(), *data.test()]
    text = "".join(vocabulary[place] for window in windows for place in window["text"])
    assert text_file.read_text(encoding="utf-8").startswith(text)
    assert len(data.test()) == math.ceil(len(windows) / 10)


@pytest.mark.parametrize("content", [None, b"", b"short", b"\xff\xfe\x00 not UTF-8" * 100])
def test_a_file_that_is_no_long_text_is_refused(tmp_path, content):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(zoo.BadFile):
        zoo.build("text-file", {"file": str(path)}, kind="dataset").train()
