"""The metrics of a step in one tensor, which takes one operation to copy and one to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class PackedMetrics(Mapping[str, Tensor]):
    """Metrics by name, as a mapping like that which ``Trainer.step`` returns."""

    names: tuple[str, ...]
    packed: Tensor
    """Shape ``(len(names),)``, float32."""

    def __getitem__(self, name: str) -> Tensor:
        try:
            return self.packed[self.names.index(name)]
        except ValueError:
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
