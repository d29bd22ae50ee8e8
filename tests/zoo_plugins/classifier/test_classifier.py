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
    assert error.value.hint == (
        "Check the name." if content is None else "Give a PNG, JPEG, TIFF, WebP, BMP, GIF, PPM or .npy file."
    )


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


def test_a_model_that_does_not_classify_is_refused_and_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["model.name=unet", "dataset.source=subset", "run.steps=8", "run.batch_size=8", "run.device=cpu"]
    assert _exit_code(["run", "digit-classifier-mnist", *words]) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_warmup_may_last_one_step(digits):
    trainer = make(5)  # a warmup of one fifth
    for _ in range(5):
        metrics = perform(trainer, digits.train().__getitems__(range(4)))
    assert metrics["loss"].isfinite()


# -- settings for uneven classes and photos --------------------------------------


def test_crops_are_inside_the_image_and_of_different_sizes():
    ramp = torch.linspace(0, 1, 64).expand(300, 1, 64, 64).contiguous()
    cropped = make(1, rotation=0, scaling=0, shift=0, crop=0.5)._augment(ramp)
    assert cropped.shape == ramp.shape
    left, right = cropped[:, 0, 32, 1], cropped[:, 0, 32, -2]
    assert (cropped[:, 0, 2:-2, 2:-2] > 0).all()  # no black border
    width = (right - left) * 63 / 61
    assert 0.48 < width.min() < 0.55
    assert 0.9 < width.max() < 1.03
    assert left.std() > 0.05
    narrowest = cropped[width.argmin(), 0, 32]
    assert narrowest.diff().min() >= 0


@pytest.mark.parametrize(("setting", "dimension"), [("horizontal_flip", -1), ("vertical_flip", -2)])
def test_each_image_is_flipped_by_itself_with_the_given_probability(setting, dimension):
    image = torch.rand(1000, 1, 6, 6)
    augmented = make(1, rotation=0, scaling=0, shift=0, **{setting: 0.3})._augment(image)
    flipped = ((augmented - image.flip(dimension)).abs() < 1e-4).flatten(1).all(dim=1)
    same = ((augmented - image).abs() < 1e-4).flatten(1).all(dim=1)
    assert (flipped ^ same).all()
    assert 0.25 < flipped.float().mean() < 0.35


def test_the_defaults_draw_no_further_random_numbers():
    image = torch.rand(4, 1, 28, 28)
    trainer = make(1)
    torch.manual_seed(3)
    trainer._augment(image)
    left = torch.rand(1)
    torch.manual_seed(3)
    torch.rand(16)
    assert torch.equal(left, torch.rand(1))


def test_smoothed_and_weighted_losses_are_those_of_torch():
    batch = zoo.Batch(image=torch.rand(8, 1, 28, 28), label=torch.arange(8))
    score = torch.randn(8, 10)
    weights = tuple(float(number) for number in range(1, 11))
    trainer = make(1, class_weights=weights, label_smoothing=0.1)
    expected = torch.nn.functional.cross_entropy(score, batch["label"], torch.tensor(weights), label_smoothing=0.1)
    torch.testing.assert_close(trainer._loss(score, batch["label"], batch), expected)
    plain = make(1)._loss(score, batch["label"], batch)
    assert torch.equal(plain, torch.nn.functional.cross_entropy(score, batch["label"]))


def test_a_weighted_batch_in_parts_equals_a_whole_one(tmp_path):
    weights = []
    for parts in (1, 4):
        run = zoo.run(
            "digit-classifier-mnist", "dataset.source=subset", "run.steps=2", "run.batch_size=16", "run.device=cpu",
            "model.name=image-classifier", "trainer.class_weights=[1,2,3,4,5,6,7,8,9,10]", "trainer.optimizer=sgd",
            "trainer.rotation=0", "trainer.scaling=0", "trainer.shift=0", "trainer.learning_rate=0.1",
            f"run.grad_accumulation_steps={parts}", "run.freeze=[layers.*]", "trainer.warmup=0",
            "trainer.schedule=constant", folder=tmp_path / str(parts),
        )  # fmt: skip
        weights.append(zoo.load(run.path).head.weight)
    torch.testing.assert_close(*weights, rtol=0.02, atol=1e-3)


def test_balanced_accuracy_is_the_mean_of_those_of_the_classes_that_occur():
    trainer = make(1)
    trainer.model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))
    with torch.no_grad():
        trainer.model[1].weight.zero_()
        trainer.model[1].bias.copy_(torch.eye(10)[3])  # always class 3
    images = torch.rand(8, 1, 28, 28)

    def measure(*label):
        return trainer.evaluate([zoo.Batch(image=images[: len(label)], label=torch.tensor(label))] * 2, [])

    uneven = measure(3, 3, 3, 3, 3, 3, 1, 1)
    assert (uneven["accuracy"], uneven["balanced_accuracy"]) == (0.75, 0.5)
    assert (uneven["accuracy/3"], uneven["accuracy/1"]) == (1, 0)
    assert measure(3, 3, 1, 1).keys() == {"accuracy", "balanced_accuracy", "loss", "accuracy/1", "accuracy/3"}


def test_the_preview_shows_images_and_what_the_model_predicts(trained, digits):
    batch = digits.test().__getitems__(range(0, 1000, 40))
    shown = trained.preview(batch)
    assert torch.equal(shown["images"], batch["image"][:16])
    table = shown["predictions"].columns
    assert table["class"] == [str(label) for label in batch["label"][:16].tolist()]
    assert sum(map(str.__eq__, table["class"], table["predicted"])) > 10
    assert trained.model.training
