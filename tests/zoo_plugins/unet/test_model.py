"""The U-Net against a plain implementation, the effect of each setting, and fused batch normalization."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import zoo_core as zoo
from zoo_plugins.unet.blocks import Block, Stage
from zoo_plugins.unet.fuse import fuse_batch_norm
from zoo_plugins.unet.model import UNet
from zoo_plugins.unet.tiles import segment

SMALL = {"in_channels": 6, "out_channels": 5, "base_channels": 8}


def make(**settings):
    torch.manual_seed(0)
    return UNet(UNet.Config(**(SMALL | settings)))


def stage(in_channels, channels, activation=nn.LeakyReLU):
    return nn.Sequential(
        nn.Conv2d(in_channels, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        activation(),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.BatchNorm2d(channels),
        activation(),
    )


def down(channels, activation=nn.LeakyReLU):
    return nn.Sequential(nn.Conv2d(channels, channels, 2, stride=2, bias=False), activation())


class PlainUNet(nn.Module):
    """The reference, written out; ``w`` is the width of the first stage, 64 in the reference."""

    def __init__(self, in_channels, out_channels, w, activation=nn.LeakyReLU, pooled=False):
        super().__init__()
        self.encoder1 = stage(in_channels, w, activation)
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
        self.decoder1 = stage(2 * w, out_channels, activation)
        self.last = stage(out_channels + in_channels, out_channels, activation)

    def forward(self, image, upsampled_first=True, image_last=True):
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
        return self.last(torch.cat([y, image] if image_last else [image, y], dim=1))


def shapes(module):
    return [tuple(parameter.shape) for parameter in module.parameters()]


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def with_parameters_of(model, plain):
    """``plain`` with the parameters of ``model``, assigned in order."""
    with torch.no_grad():
        for target, source in zip(plain.parameters(), model.parameters(), strict=True):
            target.copy_(source)
    return plain


def images(*size, seed=1):
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed))


def with_batch_statistics(model, channels=6):
    """In eval mode, with running statistics and affine parameters that are not the initial ones."""
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


def test_the_default_settings_have_the_parameters_of_the_reference():
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
def test_it_equals_the_plain_implementation_with_the_same_parameters(training):
    model = make()
    plain = with_parameters_of(model, PlainUNet(6, 5, 8))
    with_batch_statistics(model), with_batch_statistics(plain)
    model.train(training), plain.train(training)
    image = images(3, 6, 32, 48)
    output = model(image)
    assert output.shape == (3, 5, 32, 48)
    torch.testing.assert_close(output, plain(image), rtol=1e-5, atol=1e-5)
    for ours, expected in zip(model.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def test_the_order_of_concatenation_matters():
    model = make()
    plain = with_parameters_of(model, PlainUNet(6, 5, 8))
    image = images(2, 6, 32, 32)
    output = with_batch_statistics(model)(image)
    with_batch_statistics(plain)
    assert (plain(image, upsampled_first=False) - output).abs().max() > 1e-3  # a hundred times the rounding error
    assert (plain(image, image_last=False) - output).abs().max() > 1e-3  # a hundred times the rounding error


# -- sizes -------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(1, 1), (17, 30), (5, 64), (33, 47)])
def test_any_size_is_padded_with_zeros_below_and_to_the_right(height, width):
    model = with_batch_statistics(make())
    image = images(2, 6, height, width)
    output = model(image)
    assert output.shape == (2, 5, height, width)
    padded = F.pad(image, (0, -width % 16, 0, -height % 16))
    assert torch.equal(output, model(padded)[..., :height, :width])


def test_a_wrong_number_of_channels_is_an_error_that_names_both():
    with pytest.raises(zoo.ZooError, match=r"the input is \(2, 4, 16, 16\), but should be \(N, 6, H, W\)") as error:
        make()(torch.zeros(2, 4, 16, 16))
    assert "in_channels=4" in error.value.hint
    with pytest.raises(zoo.ZooError, match=r"the input is \(6, 16, 16\), but should be \(N, 6, H, W\)"):
        make()(torch.zeros(6, 16, 16))


# -- settings ----------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_depth_is_the_number_of_times_the_sides_are_halved_and_the_channels_doubled(depth):
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
def test_patches_are_a_pixel_unshuffle_before_and_a_pixel_shuffle_after_the_network(settings):
    model = with_batch_statistics(make(patch=4, depth=2, **settings))
    inner = UNet(UNet.Config(in_channels=16 * 6, out_channels=16 * 5, base_channels=8, depth=2, **settings)).eval()
    inner.load_state_dict(model.state_dict())
    image = images(2, 6, 32, 48)
    expected = F.pixel_shuffle(inner(F.pixel_unshuffle(image, 4)), 4)
    assert torch.allclose(model(image), expected, atol=1e-6)
    assert torch.equal(model(image[..., :29, :35]), model(F.pad(image[..., :29, :35], (0, 13, 0, 3)))[..., :29, :35])


def test_blocks_follow_the_encoder_stages_and_are_scaled_by_0_1_initially():
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


def test_the_first_convolution_of_a_block_is_a_depthwise_7_x_7_convolution():
    block = Block(4).eval()
    tensor = torch.zeros(1, 4, 15, 15)
    tensor[0, 2, 7, 7] = 1
    seen = (block.path[0](tensor) != 0).nonzero()
    assert seen[:, 1].unique().tolist() == [2]
    assert seen[:, 2:].amin(0).tolist() == [4, 4]
    assert seen[:, 2:].amax(0).tolist() == [10, 10]


@pytest.mark.parametrize("blocks", [(1, 1, 1, 1), (-1,)])
def test_blocks_for_more_stages_than_there_are_are_an_error(blocks):
    with pytest.raises(zoo.ZooError, match=r"should be at most 3 integers of at least 0") as error:
        make(depth=2, blocks=blocks)
    assert error.value.hint == "Write for example `model.blocks=[1, 1]`."


@pytest.mark.parametrize("names", [("a", "a", "b"), ("sky", "2"), ("a", "b", "c", "d")])
def test_ambiguous_class_names_are_an_error(names):
    with pytest.raises(zoo.ZooError, match=r"model\.class_names has (the name '(a|2)' for two classes|4 names)"):
        UNet(UNet.Config(out_channels=3, base_channels=1, depth=1, class_names=names))


def test_max_pooling_replaces_the_strided_convolutions():
    model = make(downsample="max_pool")
    plain = with_parameters_of(model, PlainUNet(6, 5, 8, pooled=True))
    assert count(make()) - count(model) == 4 * (8**2 + 16**2 + 32**2 + 64**2)
    image = images(2, 6, 32, 32)
    torch.testing.assert_close(
        with_batch_statistics(model)(image), with_batch_statistics(plain)(image), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("name", "activation"), [("leaky_relu", nn.LeakyReLU), ("relu", nn.ReLU), ("gelu", nn.GELU), ("silu", nn.SiLU)]
)
def test_the_activation_follows_every_batch_normalization_and_strided_convolution(name, activation):
    model = make(activation=name)
    plain = with_parameters_of(model, PlainUNet(6, 5, 8, activation))
    image = images(2, 6, 32, 32)
    torch.testing.assert_close(
        with_batch_statistics(model)(image), with_batch_statistics(plain)(image), rtol=1e-5, atol=1e-5
    )


def test_a_linear_head_is_a_1_x_1_convolution_after_a_last_stage_of_the_base_width():
    model = make(head="linear")
    assert shapes(model)[-2:] == [(5, 8, 1, 1), (5,)]
    plain = with_parameters_of(
        nn.ModuleList([model.encoder, model.middle, model.decoder, model.last]), PlainUNet(6, 8, 8)
    )
    with_batch_statistics(model), with_batch_statistics(plain)
    image = images(2, 6, 32, 32)
    weight, bias = model.head.weight[:, :, 0, 0], model.head.bias
    expected = torch.einsum("oc,nchw->nohw", weight, plain(image)) + bias[:, None, None]
    torch.testing.assert_close(model(image), expected, rtol=1e-4, atol=1e-5)


def test_only_a_linear_head_can_output_negative_values():
    logits = with_batch_statistics(make(head="linear", activation="relu"))
    with torch.no_grad():
        logits.head.bias.fill_(-7)
    image = images(2, 6, 32, 32)
    assert logits(image).mean() < -1
    assert with_batch_statistics(make(activation="relu"))(image).min() == 0


def test_without_the_residual_input_the_output_is_that_of_the_last_decoder_stage():
    model = make(residual_input=False)
    reference = shapes(PlainUNet(6, 5, 8))
    assert shapes(model) == reference[: -2 * 4]
    seen = []
    model.decoder[-1].register_forward_hook(lambda *call: seen.append(call[-1]))
    assert torch.equal(with_batch_statistics(model)(images(2, 6, 32, 32)), seen[-1])


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
    plain, checkpointed = make(**settings), make(checkpointing=True, **settings)
    image, target = images(2, 6, 30, 33), images(2, 5, 30, 33, seed=2)
    for _ in range(2):  # the second step starts from the statistics of the first
        expected = gradients(plain, image, target)
        for ours, theirs in zip(gradients(checkpointed, image, target), expected, strict=True):
            assert torch.equal(ours, theirs)
    for (name, ours), theirs in zip(checkpointed.named_buffers(), plain.buffers(), strict=True):
        assert torch.equal(ours, theirs), name
        assert not name.endswith("num_batches_tracked") or ours == 2


def test_a_compiled_model_with_checkpointing_updates_its_statistics_once():
    plain, checkpointed = make(), make(checkpointing=True)
    checkpointed.load_state_dict(plain.state_dict())
    checkpointed.compile(backend="aot_eager", dynamic=False)
    image = torch.rand(2, plain.config.in_channels, 16, 16)
    for model in (plain, checkpointed):
        model(image).square().mean().backward()
    for name, tensor in plain.state_dict().items():
        torch.testing.assert_close(checkpointed.state_dict()[name], tensor, msg=name)
    for one, other in zip(plain.parameters(), checkpointed.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_checkpointing_stores_less_and_computes_stages_twice():
    image, target = images(2, 6, 32, 32), images(2, 5, 32, 32, seed=2)
    stored_bytes, passes = {}, {}
    for checkpointing in (False, True):
        model, stored, calls = make(checkpointing=checkpointing), {}, []

        def store(tensor, stored=stored):
            stored[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        model.middle[0].register_forward_hook(lambda *_, calls=calls: calls.append(1))
        parameters = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
        with torch.autograd.graph.saved_tensors_hooks(store, lambda tensor: tensor):
            loss = F.mse_loss(model(image), target)
        stored_bytes[checkpointing] = sum(size for pointer, size in stored.items() if pointer not in parameters)
        loss.backward()
        passes[checkpointing] = len(calls)
    assert passes == {False: 1, True: 2}
    assert stored_bytes[True] < stored_bytes[False] / 2


def test_checkpointing_computes_stages_once_without_a_backward_pass():
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
def test_a_fused_network_has_no_batch_normalization_and_equals_the_original_within_1e_4(settings):
    model = with_batch_statistics(make(**settings))
    fused = fuse_batch_norm(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
    image = images(2, 6, 40, 50)
    with torch.inference_mode():
        copied = image.clone()
        output = fused(copied)
        assert torch.equal(copied, image)
        assert torch.equal(fused(copied), output)
    torch.testing.assert_close(output, model(image), rtol=0, atol=1e-4)


@pytest.mark.parametrize("change", ["in place", "without counting", "replaced"])
def test_a_fused_network_is_kept_until_the_weights_change(change):
    model, image = with_batch_statistics(make()).eval(), images(1, 6, 32, 32)
    fused = fuse_batch_norm(model)
    assert fuse_batch_norm(model) is fused
    weight = model.encoder[0].layers[0].weight if hasattr(model.encoder[0], "layers") else next(model.parameters())
    with torch.no_grad():
        if change == "in place":
            weight.mul_(1.5)
        elif change == "without counting":
            weight.data.mul_(1.5)
        else:
            model.load_state_dict({name: one * 1.5 for name, one in model.state_dict().items()}, assign=True)
        torch.testing.assert_close(fuse_batch_norm(model)(image), model(image), rtol=1e-4, atol=1e-4)
    assert fuse_batch_norm(model) is not fused


@pytest.mark.parametrize("training", [True, False])
def test_fusing_does_not_change_the_original(training):
    model = with_batch_statistics(make()).train(training)
    before, description = copy.deepcopy(model.state_dict()), nn.Module.__repr__(model)
    fused = fuse_batch_norm(model)
    with torch.inference_mode():
        fused(images(1, 6, 32, 32))
    assert nn.Module.__repr__(model) == description
    assert all(module.training == training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize(
    ("settings", "arguments", "message"),
    [
        (
            {"in_channels": 1, "out_channels": 1},
            {"frames": "clip.gif"},
            "in_channels is 1, which is not a multiple of frame_channels=3",
        ),
        (
            {"out_channels": 4, "frame_channels": 2},
            {"frames": "clip.gif"},
            "frames with 2 channels, but files have 1 or 3",
        ),
        ({"in_channels": 1, "out_channels": 300, "output": "class_logits"}, {"image": "a.png"}, "has 300 classes"),
        ({"in_channels": 1, "out_channels": 1, "output": "class_logits"}, {"image": "a.png"}, "has 1 classes"),
    ],
)
def test_predict_is_an_error_if_no_file_fits_the_model(settings, arguments, message):
    model = UNet(UNet.Config(base_channels=1, depth=1, head="linear", **({"in_channels": 4} | settings)))
    with pytest.raises(zoo.ZooError, match=message):
        model.eval().predict(**arguments)


RESIDUAL = {
    "in_channels": 12, "out_channels": 9, "frame_channels": 3, "base_channels": 4, "depth": 1, "head": "linear",
    "residual_output": True,
}  # fmt: skip


@pytest.mark.parametrize("size", [(16, 16), (13, 21)])
def test_a_residual_output_is_at_first_the_last_frame_and_then_its_difference_to_it(size):
    model = make(**RESIDUAL, patch=4).eval()
    past = torch.rand(2, 12, *size)
    last = past[:, -3:].repeat(1, 3, 1, 1)
    assert torch.equal(model(past), last)
    torch.nn.init.ones_(model.head.bias)
    torch.testing.assert_close(model(past), last + 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "reference"}, "model.head is 'reference'"),
        ({"output": "frame_logits"}, "model.output is 'frame_logits'"),
        ({"in_channels": 10}, "model.in_channels is 10, but should be a multiple of model.frame_channels, 3"),
        ({"out_channels": 4}, "model.out_channels is 4, but should be a multiple"),
    ],
)
def test_a_residual_output_needs_frames(settings, message):
    with pytest.raises(zoo.ZooError, match=message):
        make(**{**RESIDUAL, **settings})


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp", "a.tif", "a.npy", "a.npz", "folder", "a.mp4"])
def test_predict_takes_the_last_frames_of_a_clip_of_any_kind(tmp_path, name):
    frames = np.zeros((9, 24, 34, 3), np.uint8)
    for number in range(9):
        frames[number, 4:12, 2 * number : 2 * number + 8] = (30 * number, 200, 90)
    path = tmp_path / name
    if name == "a.npy":
        np.save(path, frames)
    elif name == "a.npz":
        np.savez_compressed(path, frames)
    elif name == "a.mp4":
        av = pytest.importorskip("av")
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt = 34, 24, "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
    elif name == "folder":
        path.mkdir()
        for number, frame in enumerate(frames):
            Image.fromarray(frame).save(path / f"{number}.png")
    else:
        first, *others = map(Image.fromarray, frames)
        first.save(path, save_all=True, append_images=others, **({"lossless": True} if name == "a.webp" else {}))
    predicted = make(**RESIDUAL).eval().predict(frames=str(path), ahead=5)["clip"]
    assert predicted.shape == (1, 5, 3, 24, 34)
    torch.testing.assert_close(predicted[0, 4], zoo.read_frames(path, 3)[-1])


@pytest.mark.parametrize("channels", [1, 3, 5])
def test_an_image_file_is_read_with_the_channels_and_the_white_of_the_training(tmp_path, channels):
    values = np.random.default_rng(0).integers(0, 4096, (16, 16, channels)).astype(np.uint16)
    np.save(tmp_path / "a.npy", values)
    torch.manual_seed(0)
    settings = {"in_channels": channels, "out_channels": 3, "base_channels": 4, "depth": 2, "output": "class_logits"}
    model = zoo.build("unet", {**settings, "head": "linear", "max_value": 4095}).eval()
    tensor = torch.from_numpy(values.astype(np.float32) / 4095).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = model(tensor).argmax(dim=1)[0]
    predicted = model.predict(image=str(tmp_path / "a.npy"))
    assert torch.equal(predicted["mask"].long(), expected)
    assert predicted["overlay"].shape == (1, 3, 16, 16)


@pytest.mark.parametrize("settings", [{}, {"image_size": (24, 40)}, {"tile": (16, 16)}])
def test_with_mirroring_a_mirrored_image_has_the_mirrored_output(settings):
    settings = {"depth": 1, "head": "linear", "output": "class_logits", **settings}
    plain, model = make(**settings).eval(), make(**settings, mirroring=True).eval()
    image = torch.rand(1, 6, 32, 48)
    expected = (plain(image) + plain(image.flip(-1)).flip(-1)) / 2
    assert torch.allclose(model(image), expected, atol=1e-6)
    assert torch.allclose(model(image.flip(-1)), expected.flip(-1), atol=1e-6)
    assert not torch.allclose(plain(image.flip(-1)), plain(image).flip(-1), atol=1e-3)
    mask, mirrored = segment(model, image[0]), segment(model, image[0].flip(-1)).flip(-1)
    assert (mask == mirrored).float().mean() > 0.99  # where both classes are equally likely, rounding decides
    assert torch.equal(model.train()(image), plain.train()(image))  # not in training
