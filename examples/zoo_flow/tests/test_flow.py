"""The plugin passes the conformance checks, reads IDX files, and learns to generate images of a label."""

import gzip
from pathlib import Path

import pytest
import torch

import zoo_core as zoo
from zoo_core.testing import conformance

KINDS = {"images-idx3-ubyte": "image", "labels-idx1-ubyte": "label"}
test_conforms = conformance("flow-mnist", ["dataset.source=subset", "run.batch_size=8"])


def idx(array: torch.Tensor) -> bytes:
    lengths = b"".join(length.to_bytes(4, "big") for length in array.shape)
    return bytes([0, 0, 8, array.ndim]) + lengths + array.byte().numpy().tobytes()


@pytest.fixture
def folder(tmp_path):
    """Images of 12 x 8 in three classes; two of the four files are gzipped."""
    for prefix, count, compress in (("train", 12, gzip.compress), ("t10k", 6, bytes)):
        images = torch.arange(count * 96).remainder(251).view(count, 12, 8)
        for kind, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", torch.arange(count) % 3)):
            ending = ".gz" if compress is gzip.compress else ""
            (tmp_path / f"{prefix}-{kind}{ending}").write_bytes(compress(idx(array)))
    return tmp_path


def test_the_plugin_has_at_most_150_lines():
    files = (Path(__file__).parents[1] / "zoo_flow").glob("*.py")
    assert sum(len(file.read_text().splitlines()) for file in files) <= 150


def test_files_gzipped_or_not_are_read_and_say_how_many_classes_there_are(folder):
    data = zoo.build("flow-idx", {"folder": str(folder)}, kind="dataset")
    assert (len(data.train()), len(data.test())) == (12, 6)
    image = (torch.arange(96, 192) % 251).view(1, 12, 8) / 255
    assert torch.allclose(data.train()[1]["image"], image)
    assert data.train()[4]["label"] == 1
    assert data.provides() == {"num_classes": 3, "image_shape": [12, 8]}


def test_the_network_fits_the_classes_and_the_shape_of_the_files(folder, tmp_path):
    settings = [f"dataset.folder={folder}", "run.steps=2", "run.batch_size=4", "run.device=cpu"]
    run = zoo.run("flow-fashion", *settings, folder=tmp_path / "run")
    model = zoo.load(run.path)
    assert (model.config.num_classes, model.config.image_shape) == (3, [12, 8])
    assert model.predict(label=[0, 2, 2], steps=2)["image"].shape == (3, 1, 12, 8)
    with pytest.raises(zoo.BadSetting, match="labels are 0 to 2"):
        model.predict(label=[3])


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: content + b"0",
        lambda content: content[:3],
        lambda content: b"",
        lambda content: b"\x00\x00\x0d" + content[3:],
        lambda content: content[:4] + b"\x00\x00\x00\x07" + content[8:],
        lambda content: idx(torch.zeros(0, 12, 8)),
    ],
)
def test_a_damaged_file_is_refused(folder, damage):
    path = folder / "t10k-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(zoo.BadFile, match="is no complete IDX file of 3 dimensions"):
        zoo.build("flow-idx", {"folder": str(folder)}, kind="dataset").test()


def test_a_missing_or_cut_gzipped_file_is_named(folder):
    path = folder / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(zoo.BadFile, match=r"train-labels-idx1-ubyte.gz can't be read"):
        zoo.build("flow-idx", {"folder": str(folder)}, kind="dataset").train()
    path.unlink()
    with pytest.raises(zoo.BadFile, match=r"has no file train-labels-idx1-ubyte, gzipped or not"):
        zoo.build("flow-idx", {"folder": str(folder)}, kind="dataset").train()


def test_images_depend_on_the_seed_and_guidance_of_zero_ignores_the_label():
    torch.manual_seed(0)
    model = zoo.build("flow-unet").eval()
    one, again = (model.predict(label=[1, 2], steps=2)["image"] for _ in range(2))
    assert torch.equal(one, again)
    assert not torch.equal(one, model.predict(label=[1, 2], seed=1, steps=2)["image"])
    without = [model.predict(label=[label], guidance=0, steps=2)["image"] for label in (1, 2)]
    assert torch.allclose(*without, atol=1e-6)


@pytest.mark.long
def test_a_classifier_recognizes_the_generated_digits(tmp_path):
    """An independent classifier, on images conditioned on their labels; chance is 0.1, and 0.89 was measured."""
    run = zoo.run("flow-mnist", "dataset.source=subset", "run.device=cpu", "run.steps=500", folder=tmp_path / "run")
    label = torch.arange(100) % 10
    images = zoo.load(run.path).predict(label=label.tolist())["image"]
    found = zoo.load("digit-classifier-mnist")(images).argmax(dim=1)
    assert (found == label).float().mean() > 0.75
