"""The digit classifier and its trainer: parameter count, training, augmentation and predict."""

import pytest
import torch
from PIL import Image
from torchvision.utils import save_image

import zoo_core as zoo
from tests.helpers.steps import perform
from zoo_core.cli import _exit_code
from zoo_core.config.run_settings import RunSettings
from zoo_core.engine.engine import AccelerateEngine
from zoo_plugins.classifier.model import DigitClassifier
from zoo_plugins.classifier.trainer import ClassifierTrainer


def make(steps, **settings):
    torch.manual_seed(0)
    engine = AccelerateEngine(RunSettings(steps=steps, device="cpu"))
    engine.total_steps = steps
    trainer = ClassifierTrainer(ClassifierTrainer.Config(**settings))
    trainer.setup(DigitClassifier(DigitClassifier.Config()), engine)
    return trainer


@pytest.fixture(scope="module")
def digits():
    return zoo.build("mnist", {"source": "subset"}, kind="dataset")


@pytest.fixture(scope="module")
def trained(digits):
    """A trainer after 60 steps with batches of 64 digits."""
    trainer = make(60)
    train = digits.train()
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    for indices in order[: 60 * 64].split(64):
        perform(trainer, train.__getitems__(indices))
    return trainer


def test_it_has_121114_parameters():
    assert DigitClassifier.count_parameters() == 121_114


def test_features_have_dimension_64_and_are_not_negative():
    model = DigitClassifier(DigitClassifier.Config()).eval()
    image = torch.rand(5, 1, 28, 28)
    features = model.features(image)
    assert features.shape == (5, 64)
    assert features.min() >= 0
    assert features.max() > 0
    assert torch.equal(model.head(features), model(image))
    assert model(image).shape == (5, 10)


def test_60_steps_give_an_accuracy_above_0_9(trained, digits):
    test = digits.test()
    batches = [test.__getitems__(range(start, start + 200)) for start in range(0, 1000, 200)]
    metrics = trained.evaluate(batches, [])
    assert metrics["accuracy"] > 0.9
    assert metrics["loss"] < 0.4
    assert trained.model.training

    model = trained.model.eval()
    correct = sum(int((model(batch["image"]).argmax(dim=1) == batch["label"]).sum()) for batch in batches)
    assert metrics["accuracy"] == correct / 1000
    model.train()


def test_predict_gives_the_same_for_a_file_and_a_tensor(trained, digits, tmp_path):
    model = trained.model.eval()
    example = digits.test()[500]
    save_image(example["image"], tmp_path / "digit.png")
    from_file, from_tensor = model.predict(tmp_path / "digit.png"), model.predict(example["image"][None])
    assert from_file == from_tensor
    assert from_file["label"] == [int(example["label"])]
    assert 0.5 < from_file["probability"][0] <= 1
    model.train()


def test_a_color_image_of_another_size_is_converted(tmp_path):
    save_image(torch.rand(3, 50, 70), tmp_path / "large.jpg")
    predicted = DigitClassifier(DigitClassifier.Config()).eval().predict(str(tmp_path / "large.jpg"))
    assert 0 <= predicted["label"][0] <= 9


@pytest.mark.parametrize("content", [None, b"no picture", b"\x89PNG\r\n\x1a\nhalf a picture"])
def test_a_file_that_is_not_an_image_is_an_error(tmp_path, content):
    path = tmp_path / "digit.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(
        zoo.ZooError, match=r"digit\.png (does not exist|can't be read|is not a supported image file)"
    ) as error:
        DigitClassifier(DigitClassifier.Config()).predict(path)
    assert error.value.hint == ("Check the name." if content is None else "Give a PNG, JPEG, GIF or .npy file.")


def test_transparent_and_16_bit_images_are_read_alike(trained, digits, tmp_path):
    model = trained.model.eval()
    gray = digits.test()[500]["image"][0].mul(255).round().byte().numpy()
    Image.fromarray(gray).save(tmp_path / "plain.png")
    Image.merge("LA", [Image.new("L", (28, 28), 255), Image.fromarray(gray)]).save(tmp_path / "transparent.png")
    Image.fromarray(gray.astype("uint16") * 257).save(tmp_path / "deep.png")
    plain, transparent, deep = (model.predict(tmp_path / f"{name}.png") for name in ("plain", "transparent", "deep"))
    assert plain == transparent == deep
    model.train()


def test_the_learning_rate_rises_and_falls_and_stays_after_the_planned_steps():
    trainer = make(10, learning_rate=4e-3, warmup=0.2)
    batch = zoo.Batch(image=torch.rand(8, 1, 28, 28), label=torch.arange(8))
    learning_rates = []
    for _ in range(12):
        learning_rates.append(trainer.optimizer.param_groups[0]["lr"])
        perform(trainer, batch)
    assert max(learning_rates) == pytest.approx(4e-3)
    assert 0 < learning_rates.index(max(learning_rates)) <= 3
    assert learning_rates[9] < 1e-6
    assert learning_rates[10:] == [learning_rates[9]] * 2


def test_a_run_may_have_one_step_or_none():
    make(0)
    trainer = make(1)
    metrics = perform(trainer, zoo.Batch(image=torch.rand(4, 1, 28, 28), label=torch.arange(4)))
    assert metrics.keys() == {"loss", "accuracy"}
    assert not metrics["loss"].requires_grad


def test_images_are_augmented_unless_all_limits_are_zero():
    image = torch.rand(6, 1, 28, 28)
    augmented = make(1)._augment(image)
    assert augmented.shape == image.shape
    assert not torch.allclose(augmented, image, atol=1e-2)
    unchanged = make(1, rotation=0, scaling=0, shift=0)._augment(image)
    torch.testing.assert_close(unchanged, image, rtol=1e-4, atol=1e-4)
    shifted = make(1, rotation=0, scaling=0, shift=28)._augment(torch.ones(200, 1, 28, 28))
    assert 0.1 < shifted.mean() < 0.5  # shifted by up to the whole image, each differently


def test_shift_and_rotation_of_a_wide_image_are_in_pixels_in_both_directions():
    wide = torch.zeros(300, 1, 32, 128)
    wide[:, :, 14:18, 62:66] = 1  # a small square in the middle

    def center(image):
        mass = image.sum(dim=(1, 2, 3))
        y = (image.sum(dim=(1, 3)) * torch.arange(32)).sum(dim=1) / mass
        x = (image.sum(dim=(1, 2)) * torch.arange(128)).sum(dim=1) / mass
        return y - 15.5, x - 63.5

    y, x = center(make(1, rotation=0, scaling=0, shift=8)._augment(wide))
    assert 7 < y.abs().max() <= 8.01
    assert 7 < x.abs().max() <= 8.01
    off_center = torch.zeros(300, 1, 32, 128)
    off_center[:, :, 14:18, 94:98] = 1  # 32 to the right of the middle
    y, x = center(make(1, rotation=20, scaling=0, shift=0)._augment(off_center))
    assert y.abs().max() > 8
    torch.testing.assert_close((y**2 + x**2).sqrt(), torch.full((300,), 32.0), atol=0.3, rtol=0)


@pytest.mark.parametrize("image", [torch.rand(1, 28, 28), torch.rand(2, 3, 28, 28), torch.zeros(1, 1, 28, 28).byte()])
def test_a_tensor_of_another_shape_or_dtype_is_an_error(image):
    with pytest.raises(zoo.ZooError, match=r"but should be \(N, 1, 28, 28\)"):
        zoo.build("digit-classifier").predict(image)


def test_predict_works_in_bfloat16():
    predicted = zoo.build("digit-classifier").eval().to(torch.bfloat16).predict(torch.rand(2, 1, 28, 28))
    assert len(predicted["label"]) == 2


def test_an_unknown_label_is_an_error(digits):
    trainer = make(5)
    batch = digits.train().__getitems__(range(4))
    with pytest.raises(zoo.ZooError, match="an image has label 12, but the model has 10 classes"):
        perform(trainer, zoo.Batch(image=batch["image"], label=batch["label"] * 0 + 12))


@pytest.mark.parametrize("label", [-1, -100])  # F.cross_entropy ignores -100
def test_a_negative_label_is_an_error_in_every_step_and_in_evaluation(digits, label):
    trainer, batch = make(5), digits.train().__getitems__(range(4))
    perform(trainer, batch)
    wrong = zoo.Batch(image=batch["image"], label=batch["label"].clone().fill_(label))
    for function in (trainer.step, lambda batch: trainer.evaluate([batch], [])):
        with pytest.raises(zoo.ZooError, match=f"an image has label {label}, but labels are numbered from 0"):
            function(wrong)


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(stops_at, tmp_path):
    overrides = ["dataset.source=subset", "run.steps=8", "run.batch_size=8", "run.device=cpu"]
    zoo.run("digit-classifier-mnist", *overrides, folder=tmp_path / "uninterrupted")
    zoo.run("digit-classifier-mnist", *overrides, folder=tmp_path / "stopped", callbacks=[stops_at(3)])
    assert _exit_code(["run", "--resume", str(tmp_path / "stopped")]) == 0
    files = [tmp_path / run / "model.safetensors" for run in ("uninterrupted", "stopped")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_the_warmup_may_last_one_step(digits):
    trainer = make(5)  # a warmup of one fifth
    for _ in range(5):
        metrics = perform(trainer, digits.train().__getitems__(range(4)))
    assert metrics["loss"].isfinite()
