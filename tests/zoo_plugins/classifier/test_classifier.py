"""The judge of the GANs: its size, what it learns, what it says."""

import pytest
import torch
from PIL import Image
from torchvision.utils import save_image

import zoo_core as zoo
from zoo_core.cli import _exit_code
from zoo_core.config.recipe import RunSettings
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
    """A trainer after sixty steps of 64 digits."""
    trainer = make(60)
    train = digits.train()
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    for indices in order[: 60 * 64].split(64):
        trainer.step(train.__getitems__(indices))
    return trainer


def test_it_has_exactly_so_many_parameters():
    assert DigitClassifier.count_parameters() == 121_114


def test_features_are_64_numbers_and_none_is_negative():
    model = DigitClassifier(DigitClassifier.Config()).eval()
    image = torch.rand(5, 1, 28, 28)
    features = model.features(image)
    assert features.shape == (5, 64)
    assert features.min() >= 0
    assert features.max() > 0
    assert torch.equal(model.head(features), model(image))
    assert model(image).shape == (5, 10)


def test_sixty_steps_teach_it_most_digits(trained, digits):
    evaluation = digits.test()
    batches = [evaluation.__getitems__(range(start, start + 200)) for start in range(0, 1000, 200)]
    metrics = trained.evaluate(batches, [])
    assert metrics["accuracy"] > 0.9
    assert metrics["loss"] < 0.4
    assert trained.model.training

    model = trained.model.eval()
    right = sum(int((model(batch["image"]).argmax(dim=1) == batch["label"]).sum()) for batch in batches)
    assert metrics["accuracy"] == right / 1000
    model.train()


def test_it_reads_a_picture_file_and_a_tensor_alike(trained, digits, tmp_path):
    model = trained.model.eval()
    picture = digits.test()[500]
    save_image(picture["image"], tmp_path / "digit.png")
    of_file, of_tensor = model.predict(tmp_path / "digit.png"), model.predict(picture["image"][None])
    assert of_file == of_tensor
    assert of_file["label"] == [int(picture["label"])]
    assert 0.5 < of_file["probability"][0] <= 1
    model.train()


def test_a_picture_of_another_size_and_in_colour_is_brought_to_28_grey_pixels(tmp_path):
    save_image(torch.rand(3, 50, 70), tmp_path / "large.jpg")
    predicted = DigitClassifier(DigitClassifier.Config()).eval().predict(str(tmp_path / "large.jpg"))
    assert 0 <= predicted["label"][0] <= 9


@pytest.mark.parametrize("content", [None, b"no picture", b"\x89PNG\r\n\x1a\nhalf a picture"])
def test_a_file_that_is_no_picture_is_a_clear_error(tmp_path, content):
    path = tmp_path / "digit.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(zoo.ZooError, match=r"digit\.png (can't be read|is not a supported image file)") as error:
        DigitClassifier(DigitClassifier.Config()).predict(path)
    assert error.value.hint == "Give a PNG, JPEG, GIF or .npy file."


def test_a_digit_on_nothing_or_in_sixteen_bits_is_the_same_digit(trained, digits, tmp_path):
    model = trained.model.eval()
    gray = digits.test()[500]["image"][0].mul(255).round().byte().numpy()
    Image.fromarray(gray).save(tmp_path / "plain.png")
    Image.merge("LA", [Image.new("L", (28, 28), 255), Image.fromarray(gray)]).save(tmp_path / "on-nothing.png")
    Image.fromarray(gray.astype("uint16") * 257).save(tmp_path / "deep.png")
    plain, on_nothing, deep = (model.predict(tmp_path / f"{name}.png") for name in ("plain", "on-nothing", "deep"))
    assert plain == on_nothing == deep
    model.train()


def test_the_step_size_rises_and_falls_and_more_steps_than_planned_do_no_harm():
    trainer = make(10, learning_rate=4e-3, warmup_fraction=0.2)
    batch = zoo.Batch(image=torch.rand(8, 1, 28, 28), label=torch.arange(8))
    seen = []
    for _ in range(12):
        seen.append(trainer.optimizer.param_groups[0]["lr"])
        trainer.step(batch)
    assert max(seen) == pytest.approx(4e-3)
    assert 0 < seen.index(max(seen)) <= 3
    assert seen[9] < 1e-6
    assert seen[10:] == [seen[9]] * 2


def test_a_run_of_one_step_or_none_can_be_set_up():
    make(0)
    trainer = make(1)
    metrics = trainer.step(zoo.Batch(image=torch.rand(4, 1, 28, 28), label=torch.arange(4)))
    assert metrics.keys() == {"loss", "accuracy"}
    assert not metrics["loss"].requires_grad


def test_pictures_are_moved_a_little_and_not_at_all_if_told_so():
    image = torch.rand(6, 1, 28, 28)
    moved = make(1)._move(image)
    assert moved.shape == image.shape
    assert not torch.allclose(moved, image, atol=1e-2)
    still = make(1, rotation=0, scaling=0, shift=0)._move(image)
    torch.testing.assert_close(still, image, rtol=1e-4, atol=1e-4)
    down = make(1, rotation=0, scaling=0, shift=28)._move(torch.ones(200, 1, 28, 28))
    assert 0.1 < down.mean() < 0.5  # up to a whole picture away, each differently


def test_pictures_that_are_no_squares_are_moved_as_far_down_as_across_and_turned_without_being_bent():
    wide = torch.zeros(300, 1, 32, 128)
    wide[:, :, 14:18, 62:66] = 1  # a small square in the middle

    def center(moved):
        mass = moved.sum(dim=(1, 2, 3))
        down = (moved.sum(dim=(1, 3)) * torch.arange(32)).sum(dim=1) / mass
        across = (moved.sum(dim=(1, 2)) * torch.arange(128)).sum(dim=1) / mass
        return down - 15.5, across - 63.5

    down, across = center(make(1, rotation=0, scaling=0, shift=8)._move(wide))
    assert 7 < down.abs().max() <= 8.01
    assert 7 < across.abs().max() <= 8.01
    apart = torch.zeros(300, 1, 32, 128)
    apart[:, :, 14:18, 94:98] = 1  # 32 to the right of the middle
    down, across = center(make(1, rotation=20, scaling=0, shift=0)._move(apart))
    assert down.abs().max() > 8
    torch.testing.assert_close((down**2 + across**2).sqrt(), torch.full((300,), 32.0), atol=0.3, rtol=0)


@pytest.mark.parametrize("image", [torch.rand(1, 28, 28), torch.rand(2, 3, 28, 28), torch.zeros(1, 1, 28, 28).byte()])
def test_a_tensor_that_is_no_pictures_is_a_clear_error(image):
    with pytest.raises(zoo.ZooError, match=r"but should be \(N, 1, 28, 28\)"):
        zoo.build("digit-classifier").predict(image)


def test_it_reads_in_half_precision():
    found = zoo.build("digit-classifier").eval().to(torch.bfloat16).predict(torch.rand(2, 1, 28, 28))
    assert len(found["label"]) == 2


def test_a_label_that_no_score_is_for_is_refused(digits):
    trainer = make(5)
    batch = digits.train().__getitems__(range(4))
    with pytest.raises(zoo.ZooError, match="a picture has label 12, but the model has 10 classes"):
        trainer.step(zoo.Batch(image=batch["image"], label=batch["label"] * 0 + 12))


def test_a_run_that_was_stopped_and_resumed_is_bit_for_bit_the_run_that_was_not(stops_at, tmp_path):
    words = ["dataset.source=subset", "run.steps=8", "run.batch_size=8", "run.device=cpu"]
    zoo.run("digit-classifier-mnist", *words, folder=tmp_path / "whole")
    zoo.run("digit-classifier-mnist", *words, folder=tmp_path / "stopped", callbacks=[stops_at(3)])
    assert _exit_code(["run", "--resume", str(tmp_path / "stopped")]) == 0
    files = [tmp_path / run / "model.safetensors" for run in ("whole", "stopped")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_run_whose_step_size_rises_for_one_step_only_is_a_run_as_well(digits):
    trainer = make(5)  # a warm-up of a fifth
    for _ in range(5):
        metrics = trainer.step(digits.train().__getitems__(range(4)))
    assert metrics["loss"].isfinite()
