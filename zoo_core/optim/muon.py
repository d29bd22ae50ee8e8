"""Muon for the matrices of a network, and AdamW for its other parameters, as one optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any, Literal

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from zoo_core.errors import BadSetting


class MuonWithAdamW(Optimizer):
    """Muon (Jordan et al. 2024) of torch.optim for matrices, and its AdamW for biases, embeddings and convolutions.

    Args:
        params: parameter groups.
        module: the module that has the parameters.
        lr: learning rate of both.
        weight_decay: decoupled weight decay of both.
        momentum: momentum of Muon
        nesterov: whether the momentum of Muon is that of Nesterov
        ns_steps: Newton-Schulz iterations of Muon
        adjust_lr_fn: how the learning rate of Muon depends on the shape of a matrix; with match_rms_adamw one that was
            tuned for AdamW fits
        adamw: patterns of the names of matrices that AdamW trains, such as that of the last layer
        betas: decay rates of the averages of AdamW
        eps: added to the denominator of AdamW
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        module: nn.Module,
        lr: float = 1e-3,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        adjust_lr_fn: Literal["match_rms_adamw", "original", "spectral_unclamped"] = "match_rms_adamw",
        adamw: tuple[str, ...] = (),
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
    ) -> None:
        matrices = _matrices(module, adamw)
        for_muon: list[dict[str, Any]] = []
        for_adamw: list[dict[str, Any]] = []
        for group in params:
            for chosen, groups in ((True, for_muon), (False, for_adamw)):
                if found := [one for one in group["params"] if (id(one) in matrices) is chosen]:
                    groups.append({**group, "params": found})
        muon_options: dict[str, Any] = {"momentum": momentum, "nesterov": nesterov, "ns_steps": ns_steps}
        self._parts: dict[bool, Optimizer] = {}
        if for_muon:
            self._parts[True] = Muon(
                for_muon, lr=lr, weight_decay=weight_decay, adjust_lr_fn=adjust_lr_fn, **muon_options
            )
        if for_adamw:
            self._parts[False] = AdamW(for_adamw, lr=lr, weight_decay=weight_decay, betas=betas, eps=eps, fused=True)
        groups = [{**group, "muon": kind} for kind, part in self._parts.items() for group in part.param_groups]
        super().__init__(groups, {})

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Perform a step of both."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for kind, part in self._parts.items():
            # Loading a checkpoint, and placing the state on a device, replace these.
            part.state = self.state
            part.param_groups = [group for group in self.param_groups if group["muon"] is kind]
            part.step()
        return loss


def _matrices(module: nn.Module, adamw: tuple[str, ...]) -> set[int]:
    """The identities of the parameters that Muon trains."""
    embeddings = {
        id(one.weight) for one in module.modules() if isinstance(one, (nn.Embedding, nn.EmbeddingBag))
    }  # a row of theirs gets no gradient in most steps
    named = {name: one for name, one in module.named_parameters() if one.ndim == 2 and id(one) not in embeddings}
    for pattern in adamw:
        if not any(fnmatchcase(name, pattern) for name in named):
            raise BadSetting(
                f"trainer.optimizer_options.adamw has '{pattern}', which matches no matrix of the model.",
                f"Its matrices: {', '.join(list(named)[:6]) or 'none'}{', …' if len(named) > 6 else ''}.",
            )
    return {id(one) for name, one in named.items() if not any(fnmatchcase(name, pattern) for pattern in adamw)}
