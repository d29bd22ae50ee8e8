"""The IDX format of the MNIST database, packed with gzip or not."""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

_CHUNK = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"  # an IDX file starts with two zero bytes


class Unpacked(NamedTuple):
    """What a file holds once decompressed, as far as it could be."""

    content: bytearray
    md5: str
    breaks_off: bool


def unpack(path: Path) -> Unpacked:
    """The decompressed content of ``path`` and its MD5 sum.

    A damaged archive is no error here: its sum tells, and belongs in the message. Whether it is gzipped is
    seen from its first bytes, since some browsers unpack a download and keep the name ``….gz``.

    Raises:
        OSError: if the file can't be read.
    """
    content, breaks_off = bytearray(), False
    with path.open("rb") as file:
        if file.peek(2)[:2] == _GZIP_MAGIC:
            unpacked = gzip.GzipFile(fileobj=file)
            try:
                while chunk := unpacked.read1(_CHUNK):  # read() would drop what precedes a fault
                    content += chunk
            except EOFError:
                breaks_off = True
            except (zlib.error, gzip.BadGzipFile):
                pass
        else:
            content += file.read()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return Unpacked(content, md5, breaks_off or not content)


def parse(content: bytearray) -> Tensor:
    """The uint8 tensor in ``content``, which has been checked: (N, 28, 28) for images, (N,) for labels.

    The tensor shares the memory of ``content``. torchvision's reader reads unpacked files only, and importing
    it takes longer than reading all four files does here.
    """
    num_dims = content[3]
    shape = struct.unpack_from(f">{num_dims}I", content, 4)
    return torch.frombuffer(content, dtype=torch.uint8, offset=4 + 4 * num_dims).reshape(shape)
