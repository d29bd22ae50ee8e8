"""Random crops and flips of clips."""

import torch

from zoo_plugins.common.clip_transforms import RandomClipTransform


def frames(dtype=torch.float32):
    """(T, C, H, W): noise that stands still, and a square that moves in one corner."""
    torch.manual_seed(1)
    clip = torch.rand(1, 1, 40, 60).expand(4, -1, -1, -1).clone()
    for number in range(4):
        clip[number, :, 30:36, 40 + 4 * number : 46 + 4 * number] = 1
    return clip if dtype == torch.float32 else clip.mul(255).round().to(dtype)


def test_all_frames_of_a_window_are_cropped_and_flipped_alike():
    clip = torch.arange(40 * 60.0).reshape(1, 1, 40, 60).expand(3, -1, -1, -1)
    for seed in range(10):
        torch.manual_seed(seed)
        crop = RandomClipTransform("flips", 16, 24)(clip)
        assert crop.shape == (3, 1, 16, 24)
        assert torch.equal(crop[0], crop[2])
        assert {int(abs(crop[0, 0, 0, 1] - crop[0, 0, 0, 0])), int(abs(crop[0, 0, 1, 0] - crop[0, 0, 0, 0]))} == {1, 60}


def test_the_draws_depend_on_the_seed_only():
    for dtype in (torch.float32, torch.uint8):
        torch.manual_seed(3)
        one = RandomClipTransform("flips", 16, 16)(frames(dtype))
        torch.manual_seed(3)
        assert torch.equal(RandomClipTransform("flips", 16, 16)(frames(dtype)), one)


def test_crops_contain_what_changes_more_often_than_by_chance():
    clip, moving = frames(), 0
    torch.manual_seed(0)
    for _ in range(200):
        crop = RandomClipTransform("none", 16, 16)(clip)
        moving += bool((crop[0] != crop[-1]).any())
    assert moving > 90  # 60 by chance


def test_presets_flip_as_they_say():
    clip = torch.arange(6.0).reshape(1, 1, 2, 3)
    found = {}
    for preset in ("none", "mirror", "flips"):
        torch.manual_seed(0)
        found[preset] = {tuple(RandomClipTransform(preset, 0, 0)(clip).flatten().tolist()) for _ in range(40)}
    assert [len(found[preset]) for preset in ("none", "mirror", "flips")] == [1, 2, 4]


def test_small_frames_are_padded_by_their_border():
    crop = RandomClipTransform("none", 64, 64)(frames(torch.uint8))
    assert crop.shape == (4, 1, 64, 64)
    assert torch.equal(crop[..., 39, :60], crop[..., 63, :60])
