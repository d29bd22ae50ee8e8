"""The classifier of images of any size: its form, its names, prediction from files, and its resizing."""

import numpy as np
import pytest
import torch
from PIL import Image

import zoo_core as zoo
from tests.helpers.steps import perform
from zoo_core.config.run_settings import RunSettings
from zoo_core.engine.engine import AccelerateEngine
from zoo_plugins.classifier.image_classifier import ImageClassifier, ResidualBlock
from zoo_plugins.classifier.trainer import ClassifierTrainer


def build(**settings):
    torch.manual_seed(0)
    return zoo.build("image-classifier", settings).eval()


@pytest.mark.parametrize(
    ("size", "stages", "left"),
    [(4, 1, 2), (8, 1, 4), (16, 2, 4), (28, 3, 4), (32, 3, 4), (64, 4, 4), (96, 4, 3), (224, 4, 4), (512, 4, 4)],
)
def test_the_stages_follow_from_the_size_of_the_images(size, stages, left):
    model = build(height=size, width=size, in_channels=1)
    assert [type(layer) for layer in model.layers].count(ResidualBlock) == stages
    assert model.layers[:-5](torch.rand(1, 1, size, size)).shape[-2:] == (left, left)


def test_it_has_309290_parameters_for_digits():
    assert build(height=28, width=28, in_channels=1).count_parameters() == 309_290 - 576
    assert build(height=28, width=28).count_parameters() == 309_290


@pytest.mark.parametrize(("stages", "blocks", "channels"), [(1, 1, 8), (5, 2, 8), (8, 1, 300)])
def test_stages_blocks_and_channels_are_settings(stages, blocks, channels):
    model = build(stages=stages, blocks=blocks, base_channels=channels, height=32, width=32)
    assert [type(layer) for layer in model.layers].count(ResidualBlock) == stages * blocks
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("size", [(28, 28), (40, 90), (7, 5), (1, 1), (200, 30)])
def test_images_of_any_size_are_classified(size):
    model = build(height=28, width=28, num_classes=4)
    assert model(torch.rand(3, 3, *size)).shape == (3, 4)
    image = torch.rand(3, 3, *size)
    assert torch.equal(model.head(model.features(image)), model(image))


def test_a_file_gets_the_form_that_the_network_was_trained_on(tmp_path):
    model = build(num_classes=3, class_names=("cat", "dog", "bird"), height=12, width=12, in_channels=1)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    Image.fromarray(pixels[:, 10:40]).save(tmp_path / "square.png")
    wide, square = model.predict(tmp_path / "wide.png"), model.predict(str(tmp_path / "square.png"))
    assert wide["label"][0] in ("cat", "dog", "bird")
    assert 1 / 3 <= wide["probability"][0] <= 1
    assert wide["probability"] == pytest.approx(square["probability"], abs=0.02)


def test_the_images_of_a_dataset_and_their_files_are_classified_alike(tmp_path):
    for number in range(12):
        path = tmp_path / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    data = zoo.build("image-folder", {"folder": str(tmp_path), "height": 16, "width": 12}, kind="dataset")
    provided = data.provides()
    known = {
        name: provided[name] for name in ("num_classes", "class_names", "in_channels", "height", "width", "resize")
    }
    model = build(**known)
    for index, (path, _) in enumerate(data._read.splits["train"]):
        assert model.predict(path) == model.predict(data.train()[index]["image"][None])


def test_classes_without_a_name_are_called_by_their_index():
    predicted = build(num_classes=3, class_names=("cat",)).predict(torch.rand(20, 3, 8, 8))
    assert set(predicted["label"]) <= {"cat", "1", "2"}


@pytest.mark.parametrize("names", [("a", "a", "b"), ("2", "b"), ("a", "b", "c", "d")])
def test_names_that_are_not_those_of_the_classes_are_refused(names):
    with pytest.raises(zoo.ZooError, match=r"model\.class_names has .* 3 classes"):
        build(num_classes=3, class_names=names)


@pytest.mark.parametrize("image", [torch.rand(3, 8, 8), torch.rand(2, 1, 8, 8), torch.zeros(1, 3, 8, 8).byte()])
def test_a_tensor_of_another_shape_or_dtype_is_an_error(image):
    with pytest.raises(zoo.ZooError, match=r"but should be \(N, 3, H, W\)"):
        build().predict(image)


def test_a_file_for_a_model_of_other_channels_is_an_error(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(zoo.ZooError, match=r"a\.png has 1 channel, but should have 5"):
        build(in_channels=5).predict(tmp_path / "a.png")


def test_predict_works_in_bfloat16_and_for_its_example():
    model = build().to(torch.bfloat16)
    assert len(model.predict(**model.example())["label"]) == 2


def test_60_steps_give_an_accuracy_above_0_8():
    torch.manual_seed(0)
    digits = zoo.build("mnist", {"source": "subset"}, kind="dataset")
    model = ImageClassifier.from_settings({"in_channels": 1, "height": 28, "width": 28, "base_channels": 16})
    engine = AccelerateEngine(RunSettings(steps=60, device="cpu"))
    engine.total_steps = 60
    trainer = ClassifierTrainer(ClassifierTrainer.Config())
    trainer.setup(model, engine)
    for indices in torch.randperm(4000)[: 60 * 64].split(64):
        perform(trainer, digits.train().__getitems__(indices))
    assert trainer.evaluate([digits.test().__getitems__(range(1000))], [])["accuracy"] > 0.8


def test_files_are_read_as_in_training(tmp_path):
    values = np.random.default_rng(0).integers(0, 4096, (8, 8, 5)).astype(np.uint16)
    np.save(tmp_path / "a.npy", values)
    model = build(in_channels=5, max_value=4095)
    tensor = torch.from_numpy(values.astype(np.float32) / 4095).permute(2, 0, 1)[None]
    assert model.predict(tmp_path / "a.npy") == model.predict(tensor)


@pytest.mark.parametrize("name", ["image-classifier", "digit-classifier"])
def test_a_batch_of_files_of_several_sizes_is_predicted_as_each_of_them(name, tmp_path):
    torch.manual_seed(0)
    settings = {"in_channels": 1} if name == "image-classifier" else {}
    model = zoo.build(name, settings).eval()
    paths = []
    for number, size in enumerate([(28, 28), (20, 24), (28, 28), (20, 24), (32, 28)]):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(np.random.default_rng(number).integers(0, 255, size, dtype=np.uint8)).save(paths[-1])
    at_once = model.predict_batch([model.read_inputs(image=str(path)) for path in paths])
    assert [one["label"] for one in at_once] == [model.predict(path)["label"] for path in paths]
    for one, path in zip(at_once, paths, strict=True):
        assert one["probability"] == pytest.approx(model.predict(path)["probability"], abs=2e-4)


@pytest.mark.parametrize("model", ["image-classifier", "unet"])
def test_one_of_very_many_class_names_that_occurs_twice_is_found_at_once(model):
    names = [f"name {number}" for number in range(100_000)]  # comparing all pairs would take hours
    count = {"image-classifier": "num_classes", "unet": "out_channels"}[model]
    more = {"unet": {"output": "class_logits", "in_channels": 1, "out_channels": 100_000}}.get(model, {})
    with pytest.raises(zoo.ZooError, match="the name 'name 99999' for two classes"):
        zoo.build(model, {count: 100_000, **more, "class_names": [*names[:-2], "name 99999", "name 99999"]})
