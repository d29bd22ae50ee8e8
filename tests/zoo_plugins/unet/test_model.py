"""The network against the same network written out plainly; and what each setting does to it."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import zoo_core as zoo
from zoo_plugins.unet.blocks import Block, Stage
from zoo_plugins.unet.fuse import folded
from zoo_plugins.unet.model import UNet

SMALL = {"in_channels": 6, "out_channels": 5, "base_channels": 8}


def make(**settings):
    torch.manual_seed(0)
    return UNet(UNet.Config(**(SMALL | settings)))


def stage(inputs, outputs, activation=nn.LeakyReLU):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        activation(),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        activation(),
    )


def down(channels, activation=nn.LeakyReLU):
    return nn.Sequential(nn.Conv2d(channels, channels, 2, stride=2, bias=False), activation())


class PlainUNet(nn.Module):
    """The reference, line by line; ``w`` is the width of the first stage, 64 in the reference."""

    def __init__(self, inputs, outputs, w, activation=nn.LeakyReLU, pooled=False):
        super().__init__()
        self.encoder1 = stage(inputs, w, activation)
        self.down1 = nn.MaxPool2d(2) if pooled else down(w, activation)
        self.encoder2 = stage(w, 2 * w, activation)
        self.down2 = nn.MaxPool2d(2) if pooled else down(2 * w, activation)
        self.encoder3 = stage(2 * w, 4 * w, activation)
        self.down3 = nn.MaxPool2d(2) if pooled else down(4 * w, activation)
        self.encoder4 = stage(4 * w, 8 * w, activation)
        self.down4 = nn.MaxPool2d(2) if pooled else down(8 * w, activation)
        self.encoder5 = stage(8 * w, 16 * w, activation)
        self.middle = stage(16 * w, 8 * w, activation)
        self.decoder4 = stage(16 * w, 4 * w, activation)
        self.decoder3 = stage(8 * w, 2 * w, activation)
        self.decoder2 = stage(4 * w, w, activation)
        self.decoder1 = stage(2 * w, outputs, activation)
        self.last = stage(outputs + inputs, outputs, activation)

    def forward(self, image, upsampled_first=True, own_input_last=True):
        def joined(upsampled, encoded):
            return torch.cat([upsampled, encoded] if upsampled_first else [encoded, upsampled], dim=1)

        up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        x1 = self.encoder1(image)
        x2 = self.encoder2(self.down1(x1))
        x3 = self.encoder3(self.down2(x2))
        x4 = self.encoder4(self.down3(x3))
        x5 = self.encoder5(self.down4(x4))
        y = up(self.middle(x5))
        y = up(self.decoder4(joined(y, x4)))
        y = up(self.decoder3(joined(y, x3)))
        y = up(self.decoder2(joined(y, x2)))
        y = self.decoder1(joined(y, x1))
        return self.last(torch.cat([y, image] if own_input_last else [image, y], dim=1))


def shapes(module):
    return [tuple(parameter.shape) for parameter in module.parameters()]


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def copied(model, plain):
    """``plain`` with the parameters of ``model``, one after the other."""
    with torch.no_grad():
        for target, source in zip(plain.parameters(), model.parameters(), strict=True):
            target.copy_(source)
    return plain


def images(*size, seed=1):
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


def settled(model, channels=6):
    """In eval mode, with running statistics that are no longer those of a new network, and norms that scale."""
    torch.manual_seed(3)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    model.train()
    with torch.no_grad():
        for seed in range(4):
            model(images(2, channels, 32, 32, seed=seed))
    return model.eval()


# -- the reference -----------------------------------------------------------


def test_the_default_settings_give_exactly_the_parameters_of_the_reference():
    assert UNet.count_parameters() == 31_430_416
    with torch.device("meta"):
        plain = PlainUNet(60, 60, 64)
        assert count(plain) == 31_430_416
        assert shapes(UNet(UNet.Config())) == shapes(plain)


def test_a_forward_pass_of_the_reference_takes_362_gflop_at_480_by_560():
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        output = UNet(UNet.Config()).eval()(torch.empty(1, 60, 480, 560))
    assert output.shape == (1, 60, 480, 560)
    assert counter.get_total_flops() == pytest.approx(362e9, rel=1e-3)


@pytest.mark.parametrize("training", [True, False])
def test_it_computes_what_the_plain_network_with_its_parameters_in_order_does(training):
    model = make()
    plain = copied(model, PlainUNet(6, 5, 8))
    settled(model), settled(plain)
    model.train(training), plain.train(training)
    image = images(3, 6, 32, 48)
    output = model(image)
    assert output.shape == (3, 5, 32, 48)
    torch.testing.assert_close(output, plain(image), rtol=1e-5, atol=1e-5)
    for ours, expected in zip(model.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def test_another_order_of_concatenation_would_give_another_output():
    model = make()
    plain = copied(model, PlainUNet(6, 5, 8))
    image = images(2, 6, 32, 32)
    output = settled(model)(image)
    settled(plain)
    assert (plain(image, upsampled_first=False) - output).abs().max() > 1e-3  # a hundred times what rounding does
    assert (plain(image, own_input_last=False) - output).abs().max() > 1e-3  # a hundred times what rounding does


# -- sizes -------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(1, 1), (17, 30), (5, 64), (33, 47)])
def test_any_size_works_as_if_zeros_stood_below_and_to_the_right(height, width):
    model = settled(make())
    image = images(2, 6, height, width)
    output = model(image)
    assert output.shape == (2, 5, height, width)
    padded = F.pad(image, (0, -width % 16, 0, -height % 16))
    assert torch.equal(output, model(padded)[..., :height, :width])


def test_a_wrong_number_of_channels_is_an_error_that_names_both_numbers():
    with pytest.raises(zoo.ZooError, match=r"takes \(N, 6, H, W\), but was given \(2, 4, 16, 16\)") as error:
        make()(torch.zeros(2, 4, 16, 16))
    assert "in_channels=4" in error.value.hint
    with pytest.raises(zoo.ZooError, match=r"takes \(N, 6, H, W\), but was given \(6, 16, 16\)"):
        make()(torch.zeros(6, 16, 16))


# -- settings ----------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_the_depth_is_how_often_the_sides_are_halved_and_the_width_doubled(depth):
    model = make(depth=depth)
    seen = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda layer, _, output: seen.append((layer.out_channels, output.shape[-1])))
    side = 2**depth
    assert model.eval()(images(1, 6, side, side)).shape == (1, 5, side, side)
    assert min(width for _, width in seen) == 1
    assert max(channels for channels, _ in seen) == 8 * side
    assert model(images(1, 6, side + 1, side)).shape == (1, 5, side + 1, side)


@pytest.mark.parametrize("settings", [{}, {"head": "linear", "residual_input": False}])
def test_with_patches_the_stages_see_squares_of_pixels_as_channels_of_one(settings):
    model = settled(make(patch=4, depth=2, **settings))
    inner = UNet(UNet.Config(in_channels=16 * 6, out_channels=16 * 5, base_channels=8, depth=2, **settings)).eval()
    inner.load_state_dict(model.state_dict())
    image = images(2, 6, 32, 48)
    expected = F.pixel_shuffle(inner(F.pixel_unshuffle(image, 4)), 4)
    assert torch.equal(model(image), expected)
    assert torch.equal(model(image[..., :29, :35]), model(F.pad(image[..., :29, :35], (0, 13, 0, 3)))[..., :29, :35])


def test_blocks_stand_behind_the_stages_on_the_way_down_and_begin_as_small_changes():
    model = make(depth=2, blocks=(2, 0, 1))
    stages = [layer for layer in model.encoder if isinstance(layer, Stage)]
    assert [[type(layer) for layer in stage].count(Block) for stage in stages] == [2, 0, 1]
    assert count(model) - count(make(depth=2)) == sum(
        n * (49 * width + 2 * width + 2 * width * width + 2 * width + 2 * width * width + width + width)
        for n, width in ((2, 8), (1, 32))
    )
    block, tensor = Block(8), images(2, 8, 16, 16)
    inner = block.path(tensor)
    torch.testing.assert_close(block(tensor), tensor + 0.1 * inner)


def test_a_block_sees_three_pixels_far_in_the_same_channel_alone():
    block = Block(4).eval()
    tensor = torch.zeros(1, 4, 15, 15)
    tensor[0, 2, 7, 7] = 1
    seen = (block.path[0](tensor) != 0).nonzero()
    assert seen[:, 1].unique().tolist() == [2]
    assert seen[:, 2:].amin(0).tolist() == [4, 4]
    assert seen[:, 2:].amax(0).tolist() == [10, 10]


@pytest.mark.parametrize("blocks", [(1, 1, 1, 1), (-1,)])
def test_blocks_for_stages_that_are_not_there_are_refused(blocks):
    with pytest.raises(zoo.ZooError, match=r"should be at most 3 numbers of blocks") as error:
        make(depth=2, blocks=blocks)
    assert error.value.hint == "Write `model.blocks=[1, 1]`, for example."


@pytest.mark.parametrize("names", [("a", "a", "b"), ("sky", "2"), ("a", "b", "c", "d")])
def test_names_that_would_name_two_classes_or_none_are_refused(names):
    with pytest.raises(zoo.ZooError, match=r"model\.class_names (calls two classes|has 4 names)"):
        UNet(UNet.Config(out_channels=3, base_channels=1, depth=1, class_names=names))


def test_max_pooling_takes_the_place_of_the_strided_convolutions():
    model = make(downsample="max_pool")
    plain = copied(model, PlainUNet(6, 5, 8, pooled=True))
    assert count(make()) - count(model) == 4 * (8**2 + 16**2 + 32**2 + 64**2)
    image = images(2, 6, 32, 32)
    torch.testing.assert_close(settled(model)(image), settled(plain)(image), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "activation"), [("leaky_relu", nn.LeakyReLU), ("relu", nn.ReLU), ("gelu", nn.GELU), ("silu", nn.SiLU)]
)
def test_the_activation_stands_behind_every_normalisation_and_strided_convolution(name, activation):
    model = make(activation=name)
    plain = copied(model, PlainUNet(6, 5, 8, activation))
    image = images(2, 6, 32, 32)
    torch.testing.assert_close(settled(model)(image), settled(plain)(image), rtol=1e-5, atol=1e-5)


def test_a_linear_head_is_a_convolution_of_one_pixel_behind_a_last_stage_of_the_base_width():
    model = make(head="linear")
    assert shapes(model)[-2:] == [(5, 8, 1, 1), (5,)]
    plain = copied(nn.ModuleList([model.encoder, model.middle, model.decoder, model.last]), PlainUNet(6, 8, 8))
    settled(model), settled(plain)
    image = images(2, 6, 32, 32)
    weight, bias = model.head.weight[:, :, 0, 0], model.head.bias
    expected = torch.einsum("oc,nchw->nohw", weight, plain(image)) + bias[:, None, None]
    torch.testing.assert_close(model(image), expected, rtol=1e-4, atol=1e-5)


def test_only_a_linear_head_can_end_well_below_zero():
    logits = settled(make(head="linear", activation="relu"))
    with torch.no_grad():
        logits.head.bias.fill_(-7)
    image = images(2, 6, 32, 32)
    assert logits(image).mean() < -1
    assert settled(make(activation="relu"))(image).min() == 0


def test_without_the_residual_input_the_output_is_the_last_decoders():
    model = make(residual_input=False)
    reference = shapes(PlainUNet(6, 5, 8))
    assert shapes(model) == reference[: -2 * 4]
    seen = []
    model.decoder[-1].register_forward_hook(lambda *call: seen.append(call[-1]))
    assert torch.equal(settled(model)(images(2, 6, 32, 32)), seen[-1])


# -- memory and speed --------------------------------------------------------


def gradients(model, image, target):
    F.mse_loss(model(image), target).backward()
    return [parameter.grad for parameter in model.parameters()]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"downsample": "max_pool", "head": "linear", "activation": "gelu"},
        {"patch": 2, "blocks": (1, 2), "head": "linear"},
    ],
)
def test_checkpointing_changes_neither_gradients_nor_running_statistics(settings):
    kept, computed_again = make(**settings), make(checkpointing=True, **settings)
    image, target = images(2, 6, 30, 33), images(2, 5, 30, 33, seed=2)
    for _ in range(2):  # the second step starts from the statistics of the first
        expected = gradients(kept, image, target)
        for ours, theirs in zip(gradients(computed_again, image, target), expected, strict=True):
            assert torch.equal(ours, theirs)
    for (name, ours), theirs in zip(computed_again.named_buffers(), kept.buffers(), strict=True):
        assert torch.equal(ours, theirs), name
        assert not name.endswith("num_batches_tracked") or ours == 2


def test_checkpointing_keeps_less_and_computes_stages_twice():
    image, target = images(2, 6, 32, 32), images(2, 5, 32, 32, seed=2)
    kept_bytes, passes = {}, {}
    for checkpointing in (False, True):
        model, kept, calls = make(checkpointing=checkpointing), {}, []

        def keep(tensor, kept=kept):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        model.middle[0].register_forward_hook(lambda *_, calls=calls: calls.append(1))
        parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = F.mse_loss(model(image), target)
        kept_bytes[checkpointing] = sum(size for place, size in kept.items() if place not in parameters)
        loss.backward()
        passes[checkpointing] = len(calls)
    assert passes == {False: 1, True: 2}
    assert kept_bytes[True] < kept_bytes[False] / 2


def test_checkpointing_costs_nothing_where_there_is_no_backward_pass():
    model, calls = make(checkpointing=True), []
    model.middle.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        model(images(2, 6, 32, 32))
    assert not model.eval()(images(2, 6, 16, 16)).isnan().any()
    assert len(calls) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"head": "linear", "residual_input": False},
        {"activation": "relu", "downsample": "max_pool"},
        {"activation": "gelu"},
        {"activation": "silu", "checkpointing": True},
        {"patch": 2, "blocks": (1, 2), "head": "linear"},
    ],
)
def test_a_folded_network_has_no_normalisation_and_gives_the_same_to_1e_4(settings):
    model = settled(make(**settings))
    fast = folded(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fast.modules())
    image = images(2, 6, 40, 50)
    with torch.inference_mode():
        given = image.clone()
        output = fast(given)
        assert torch.equal(given, image)
        assert torch.equal(fast(given), output)
    torch.testing.assert_close(output, model(image), rtol=0, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_folding_leaves_the_network_alone(training):
    model = settled(make()).train(training)
    before, modules = copy.deepcopy(model.state_dict()), nn.Module.__repr__(model)
    fast = folded(model)
    with torch.inference_mode():
        fast(images(1, 6, 32, 32))
    assert nn.Module.__repr__(model) == modules
    assert all(module.training == training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize(
    ("settings", "asked", "problem"),
    [
        ({"in_channels": 1, "out_channels": 1}, {"frames": "clip.gif"}, "in_channels is 1, which is no number of"),
        ({"out_channels": 4, "frame_channels": 2}, {"frames": "clip.gif"}, "frames of 2 channels, which no file"),
        ({"in_channels": 1, "out_channels": 300, "output": "class_logits"}, {"image": "a.png"}, "has 300 classes"),
        ({"in_channels": 1, "out_channels": 1, "output": "class_logits"}, {"image": "a.png"}, "has 1 classes"),
    ],
)
def test_what_no_file_can_be_predicted_from_or_to_is_said(settings, asked, problem):
    model = UNet(UNet.Config(base_channels=1, depth=1, head="linear", **({"in_channels": 4} | settings)))
    with pytest.raises(zoo.ZooError, match=problem):
        model.eval().predict(**asked)
