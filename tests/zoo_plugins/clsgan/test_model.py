"""Generator and discriminator: parameter counts, order of the parameters, outputs, and predict."""

import pytest
import torch
import torch.nn.functional as F

import zoo_core as zoo
from zoo_plugins.clsgan.model import CLSGAN


def make(**settings):
    torch.manual_seed(0)
    return CLSGAN(CLSGAN.Config(**settings))


def with_batch_statistics(model):
    """The model in eval mode, with running statistics that are not the initial ones."""
    model.train()
    with torch.no_grad():
        for _ in range(5):
            model(torch.randn(32, 96), torch.arange(32) % 10)
    return model.eval()


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_networks_have_the_parameter_counts_of_the_reference():
    model = make()
    assert count(model.generator) == 1_523_024
    assert count(model.discriminator) == 626_625
    assert CLSGAN.count_parameters() == 1_523_024 + 626_625


def test_parameters_have_the_order_of_the_reference():
    generator = [tuple(parameter.shape) for parameter in make().generator.parameters()]
    expected = [(10, 96)]
    for inputs, outputs in [(192, 128), (128, 256), (256, 512), (512, 1024)]:
        expected += [(outputs, inputs), (outputs,), (outputs,), (outputs,)]  # linear, then batch norm
    assert generator == [*expected, (784, 1024), (784,)]

    discriminator = [tuple(parameter.shape) for parameter in make().discriminator.parameters()]
    expected = [(10, 96)]
    for inputs, outputs in [(880, 512), (512, 256), (256, 128), (128, 64), (64, 32), (32, 1)]:
        expected += [(outputs, inputs), (outputs,)]
    assert discriminator == expected
    assert [name for name, _ in make().named_children()] == ["generator", "discriminator"]


def plain_generator(state, noise, label, training):
    """The reference generator as tensor operations."""
    tensors = iter(state)
    x = torch.cat([noise, next(tensors)[label]], dim=1)
    for _ in range(4):
        x = x @ next(tensors).T + next(tensors)
        weight, bias, mean, variance, _ = (next(tensors) for _ in range(5))
        if training:
            mean, variance = x.mean(dim=0), x.var(dim=0, unbiased=False)
        x = F.gelu((x - mean) / (variance + 1e-5).sqrt() * weight + bias)
    return torch.sigmoid(x @ next(tensors).T + next(tensors)).reshape(-1, 1, 28, 28)


def plain_discriminator(state, image, label):
    tensors = iter(state)
    x = torch.cat([image.reshape(len(image), 784), next(tensors)[label]], dim=1)
    for _ in range(5):
        x = F.gelu(x @ next(tensors).T + next(tensors))
    return torch.sigmoid(x @ next(tensors).T + next(tensors))[:, 0]


@pytest.mark.parametrize("training", [True, False])
def test_both_networks_equal_a_plain_implementation(training):
    model = with_batch_statistics(make())
    noise, label = torch.randn(16, 96), torch.arange(16) % 10
    expected = plain_generator(model.generator.state_dict().values(), noise, label, training)
    model.train(training)
    with torch.no_grad():
        image = model.generator(noise, label)
        assert image.shape == (16, 1, 28, 28)
        torch.testing.assert_close(image, expected, rtol=1e-5, atol=1e-5)
        score = model.discriminator(image, label)
    expected = plain_discriminator(model.discriminator.state_dict().values(), image, label)
    assert score.shape == (16,)
    torch.testing.assert_close(score, expected, rtol=1e-5, atol=1e-6)


def test_label_embeddings_are_concatenated_after_noise_and_pixels():
    model, label = make(), torch.tensor([3])
    seen = {}
    for name, network in (("generator", model.generator.eval()), ("discriminator", model.discriminator)):
        network.layers[0].register_forward_pre_hook(lambda _, inputs, name=name: seen.update({name: inputs[0]}))
    noise, image = torch.randn(1, 96), torch.rand(1, 1, 28, 28)
    model.generator(noise, label)
    model.discriminator(image, label)
    embedding = model.generator.embedding.weight[3], model.discriminator.embedding.weight[3]
    assert torch.equal(seen["generator"], torch.cat([noise[0], embedding[0]])[None])
    assert torch.equal(seen["discriminator"], torch.cat([image.flatten(), embedding[1]])[None])


def test_each_setting_changes_only_what_it_describes():
    image, label = torch.rand(8, 1, 28, 28), torch.arange(8) // 4
    plain = make().discriminator
    without_sigmoid = make(sigmoid=False).discriminator
    torch.testing.assert_close(torch.sigmoid(without_sigmoid(image, label)), plain(image, label))
    normalized = make(normalize_input=True).discriminator
    torch.testing.assert_close(normalized((image + 1) / 2, label), plain(image, label))
    unconditional = make(conditional=False)
    assert unconditional.discriminator(image).shape == (8,)
    assert count(unconditional.generator) == 1_523_024 - 960 - 96 * 128


@pytest.mark.parametrize("normalize_input", [False, True])
def test_minibatch_std_is_the_std_within_a_group_averaged_over_the_pixels(normalize_input):
    model = make(minibatch_std_group_size=4, normalize_input=normalize_input).discriminator
    seen = []
    model.layers[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    image = torch.rand(8, 1, 28, 28)
    image[4:] = image[4]  # a group of four identical images
    model(image, torch.arange(8) // 4)
    pixels = 2 * image - 1 if normalize_input else image
    expected = [float(group.flatten(1).std(dim=0, unbiased=False).mean()) for group in pixels.split(4)]
    assert seen[0].shape == (8, 784 + 96 + 1)
    torch.testing.assert_close(seen[0][:, -1], torch.tensor(expected).repeat_interleave(4), rtol=1e-3, atol=2e-4)
    assert expected[1] == 0 < expected[0]


def test_predict_gives_the_same_images_for_the_same_seed():
    model = with_batch_statistics(make())
    before = torch.get_rng_state()
    one, same, other = (model.predict(labels=[5, 5, 5, 5], seed=seed)["image"] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert one.shape == (4, 1, 28, 28)
    assert 0 <= one.min() < one.max() <= 1


def test_images_of_the_same_label_differ():
    image = with_batch_statistics(make()).predict(labels=[5, 5, 5, 5])["image"]
    for first in range(4):
        for second in range(first):
            assert (image[first] - image[second]).abs().max() > 1e-3


def test_predict_returns_the_labels_of_its_images():
    model = with_batch_statistics(make())
    assert model.predict(labels=[7, 1])["label"] == [7, 1]
    assert model.predict(labels=3)["label"] == [3]
    assert model.predict(count=12)["label"] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    unconditional = make(conditional=False).eval().predict(count=3)
    assert unconditional.keys() == {"image"}
    assert len(unconditional["image"]) == 3


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([5, 10], r"labels contains 10, but should contain integers from 0 to 9"),
        ([-1], r"labels contains -1, but should contain integers from 0 to 9"),
        ("five", "labels is 'five', but should be integers"),
        ([5.0], r"labels is \[5\.0\], but should be integers"),
        ([True], "should be integers"),
        ([], "should be integers"),
        ([[1]], "should be integers"),
    ],
)
def test_invalid_labels_are_an_error(labels, message):
    with pytest.raises(zoo.ZooError, match=message) as error:
        make().predict(labels=labels)
    assert error.value.hint == "Write for example labels=[5,5,5,5]."


@pytest.mark.parametrize("named", [{"count": 0}, {"count": -3}, {"count": "many"}, {"seed": "x"}, {"seed": 1.5}])
def test_an_invalid_count_or_seed_is_an_error(named):
    (name,) = named
    with pytest.raises(zoo.ZooError, match=f"{name} is"):
        with_batch_statistics(make()).predict(**named)


def test_an_unconditional_model_accepts_no_labels():
    with pytest.raises(zoo.ZooError, match="this model is unconditional, but labels were given"):
        make(conditional=False).predict(labels=[5])


@pytest.mark.parametrize("size", [(3, 32, 48), (1, 1, 1), (3, 7, 5), (1, 64, 64), (4, 10, 400)])
@pytest.mark.parametrize("conditional", [True, False])
def test_images_of_any_size_are_generated_and_judged(size, conditional):
    channels, height, width = size
    model = make(
        channels=channels, height=height, width=width, conditional=conditional, num_classes=26,
        minibatch_std_group_size=4, normalize_input=True,
    )  # fmt: skip
    label = torch.arange(8) + 18 if conditional else None
    image = model.generator(torch.randn(8, 96), label)
    assert image.shape == (8, *size)
    assert model.discriminator(image, label).shape == (8,)
    assert model.eval().predict(count=3)["image"].shape == (3, *size)


@pytest.mark.parametrize("size", [(3, 9, 12), (1, 1, 5)])
def test_smoothing_averages_neighboring_pixels_within_the_image(size):
    channels, height, width = size
    plain, smooth = (
        make(channels=channels, height=height, width=width, smoothing=times).eval().predict(count=3)["image"]
        for times in (0, 1)
    )
    assert smooth.shape == (3, *size)
    expected = [
        plain[:, :, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2].mean(dim=(2, 3))
        for row in range(height)
        for column in range(width)
    ]
    torch.testing.assert_close(smooth, torch.stack(expected, dim=2).view(3, *size))


def test_classes_with_names_are_chosen_and_returned_by_name():
    model = make(num_classes=3, class_names=("cat", "cow", "dog")).eval()
    by_name, by_index = model.predict(labels=["dog", "cat"], seed=1), model.predict(labels=[2, 0], seed=1)
    assert by_name["label"] == by_index["label"] == ["dog", "cat"]
    assert torch.equal(by_name["image"], by_index["image"])
    assert model.predict(labels="cow")["label"] == ["cow"]
    assert model.predict(count=4)["label"] == ["cat", "cow", "dog", "cat"]
    assert model.predict(**model.example())["label"] == ["cat", "cow", "cow"]
    assert list(model.controls()["labels"].choices) == ["cat", "cow", "dog"]


def test_two_classes_of_one_name_are_an_error():
    with pytest.raises(zoo.ZooError, match=r"model\.class_names has the name 'cat' for two classes"):
        make(num_classes=2, class_names=("cat", "cat"))
