"""Autoregressive prediction in one and in several forward passes."""

import pytest
import torch

from zoo_plugins.unet.model import UNet
from zoo_plugins.unet.rollout import roll_out, to_frames


def make(frames_in, frames_out, channels=1, **settings):
    torch.manual_seed(0)
    return UNet(
        UNet.Config(
            in_channels=frames_in * channels,
            out_channels=frames_out * channels,
            frame_channels=channels,
            base_channels=4,
            depth=1,
            **settings,
        )
    ).eval()


def past(*size):
    return torch.rand(*size, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_one_pass_concatenates_the_channels_of_the_frames_in_order():
    model = make(2, 3, channels=3)
    frames = past(4, 2, 3, 8, 6)
    channels = torch.cat([frames[:, 0], frames[:, 1]], dim=1)  # R0 G0 B0 R1 G1 B1
    output = model(channels)
    expected = torch.stack([output[:, 0:3], output[:, 3:6], output[:, 6:9]], dim=1)
    assert torch.equal(roll_out(model, frames, 3, model.config), expected)
    assert torch.equal(roll_out(model, frames, 2, model.config), expected[:, :2])


@torch.no_grad()
@pytest.mark.parametrize("output", ["frames", "frame_logits"])
def test_a_further_pass_takes_the_predicted_frames_as_input(output):
    model = make(3, 2, head="linear", output=output)
    frames = past(2, 3, 1, 8, 6)

    def forward(*three):
        result = model(torch.cat(three, dim=1))
        return result[:, :1], result[:, 1:]

    def to_frame(frame):
        return frame.sigmoid() if output == "frame_logits" else frame

    a, b, c = frames.unbind(dim=1)
    d, e = forward(a, b, c)
    f, g = forward(c, to_frame(d), to_frame(e))
    h, _ = forward(to_frame(e), to_frame(f), to_frame(g))
    rolled = roll_out(model, frames, 5, model.config)
    assert rolled.shape == (2, 5, 1, 8, 6)
    torch.testing.assert_close(rolled, torch.stack([d, e, f, g, h], dim=1))


@torch.no_grad()
def test_a_model_with_more_output_than_input_frames_continues_from_its_last_frames():
    model = make(1, 2)
    (frame,) = past(1, 1, 1, 8, 8).unbind(dim=1)
    first = model(frame)
    second = model(first[:, 1:])
    torch.testing.assert_close(
        roll_out(model, frame.unsqueeze(1), 4, model.config), torch.cat([first, second], dim=1).unsqueeze(2)
    )


def test_gradients_flow_through_all_passes():
    model, frames = make(2, 1), past(1, 2, 1, 8, 8).requires_grad_()
    last = roll_out(model, frames, 4, model.config)[:, -1]
    last.sum().backward()
    assert frames.grad[:, 0].abs().max() > 0  # the fourth pass does not take it as input


def test_frames_are_the_sigmoid_of_logits_or_the_unclipped_output():
    output = torch.tensor([-3.0, 0.0, 3.0])
    assert torch.equal(to_frames(output, UNet.Config(output="frames")), output)
    torch.testing.assert_close(
        to_frames(output, UNet.Config(output="frame_logits")), torch.tensor([0.0474, 0.5, 0.9526]), rtol=0, atol=1e-4
    )
