"""The IDX format of the MNIST database, gzipped or not."""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

_CHUNK_SIZE = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"  # an IDX file starts with two zero bytes


class Unpacked(NamedTuple):
    """The decompressed content of a file, as far as it could be decompressed."""

    content: bytearray
    md5: str
    truncated: bool


def unpack(path: Path) -> Unpacked:
    """The decompressed content of ``path`` and its MD5 sum.

    A damaged archive is not an error here, since the caller reports its MD5. Compression is detected from the first
    bytes, since some browsers decompress a download and keep the name ``….gz``.

    Raises:
        OSError: if the file can't be read.
    """
    content, truncated = bytearray(), False
    with path.open("rb") as file:
        if file.peek(2)[:2] == _GZIP_MAGIC:
            archive = gzip.GzipFile(fileobj=file)
            try:
                while chunk := archive.read1(_CHUNK_SIZE):  # read() would discard the data before an error
                    content += chunk
            except EOFError:
                truncated = True
            except (zlib.error, gzip.BadGzipFile):
                pass
        else:
            content += file.read()
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return Unpacked(content, md5, truncated or not content)


def parse(content: bytearray) -> Tensor:
    """The uint8 tensor in ``content``, whose MD5 has been checked: (N, 28, 28) for images, (N,) for labels.

    The tensor shares memory with ``content``. torchvision's reader reads only uncompressed files, and importing it
    takes longer than reading all four files here.
    """
    num_dims = content[3]
    shape = struct.unpack_from(f">{num_dims}I", content, 4)
    return torch.frombuffer(content, dtype=torch.uint8, offset=4 + 4 * num_dims).reshape(shape)
