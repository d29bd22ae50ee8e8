"""The optimizers and schedules that zoo itself offers: those of PyTorch, and of one collection that is an extra."""

from __future__ import annotations

from zoo_core.registry.entry import BUILT_IN, Kind
from zoo_core.registry.registry import Registry

_TORCH = {
    "adadelta": ("Adadelta", "Adadelta: steps from running averages of gradients and of updates", "Zeiler 2012"),
    "adafactor": ("Adafactor", "Adafactor: factored second moments, little memory", "Shazeer & Stern 2018"),
    "adagrad": ("Adagrad", "Adagrad: rates that fall with the sum of squared gradients", "Duchi et al. 2011"),
    "adam": ("Adam", "Adam, with weight decay as L2 penalty", "Kingma & Ba 2015"),
    "adamax": ("Adamax", "Adamax: Adam with the infinity norm", "Kingma & Ba 2015"),
    "adamw": ("AdamW", "Adam with decoupled weight decay", "Loshchilov & Hutter 2019"),
    "asgd": ("ASGD", "Averaged stochastic gradient descent", "Polyak & Juditsky 1992"),
    "nadam": ("NAdam", "Adam with Nesterov momentum", "Dozat 2016"),
    "radam": ("RAdam", "Adam with a rectified variance at the start", "Liu et al. 2020"),
    "rmsprop": ("RMSprop", "RMSprop: gradients divided by their root mean square", "Tieleman & Hinton 2012"),
    "rprop": ("Rprop", "Rprop: steps from the signs of full-batch gradients", "Riedmiller & Braun 1993"),
    "sgd": ("SGD", "Stochastic gradient descent, with momentum and Nesterov momentum as options", ""),
    "sparse-adam": ("SparseAdam", "Adam for embeddings with sparse gradients", "Kingma & Ba 2015"),
}
_OURS = {
    "lbfgs": ("lbfgs:LBFGS", "L-BFGS; the trainer passes a closure to step", "Liu & Nocedal 1989"),
    "muon": ("muon:MuonWithAdamW", "Muon for matrices, AdamW for all other parameters", "Jordan et al. 2024"),
}
_EXTRAS = {
    "adabelief": ("AdaBelief", "AdaBelief: steps from the belief in gradients", "Zhuang et al. 2020"),
    "adan": ("Adan", "Adan: adaptive Nesterov momentum", "Xie et al. 2022"),
    "ademamix": ("AdEMAMix", "Adam with a fast and a slow average of gradients", "Pagliardini et al. 2024"),
    "adopt": ("ADOPT", "ADOPT: Adam that converges with any second moment decay", "Taniguchi et al. 2024"),
    "came": ("CAME", "CAME: Adafactor with a measure of confidence", "Luo et al. 2023"),
    "dadapt-adam": ("DAdaptAdam", "D-Adaptation: Adam without a learning rate; use 1", "Defazio & Mishchenko 2023"),
    "lamb": ("Lamb", "LAMB: layer-wise rates for large batches", "You et al. 2020"),
    "laprop": ("LaProp", "LaProp: momentum of normalized gradients", "Ziyin et al. 2020"),
    "lars": ("LARS", "LARS: layer-wise rates for large batches, with SGD", "You et al. 2017"),
    "lion": ("Lion", "Lion: steps from the signs of momentum", "Chen et al. 2023"),
    "madgrad": ("MADGRAD", "MADGRAD: momentum and dual averaging", "Defazio & Jelassi 2021"),
    "mars": ("MARS", "MARS: variance reduction for Adam", "Yuan et al. 2024"),
    "novograd": ("NovoGrad", "NovoGrad: layer-wise second moments", "Ginsburg et al. 2019"),
    "prodigy": ("Prodigy", "Prodigy: Adam without a learning rate; use 1", "Mishchenko & Defazio 2023"),
    "schedule-free-adamw": ("ScheduleFreeAdamW", "Schedule-free AdamW: averages, no schedule", "Defazio et al. 2024"),
    "schedule-free-radam": ("ScheduleFreeRAdam", "Schedule-free RAdam: averages, no schedule", "Defazio et al. 2024"),
    "schedule-free-sgd": ("ScheduleFreeSGD", "Schedule-free SGD: averages, no schedule", "Defazio et al. 2024"),
    "soap": ("SOAP", "SOAP: Adam in the eigenbasis of Shampoo", "Vyas et al. 2024"),
    "stable-adamw": ("StableAdamW", "AdamW with clipped updates", "Wortsman et al. 2023"),
    "tiger": ("Tiger", "Tiger: Lion with one momentum", "Su 2023"),
}
_SCHEDULES = {
    "constant": ("constant", "The learning rate stays the same", ""),
    "cosine": ("cosine", "Half a period of a cosine, down to the end", "Loshchilov & Hutter 2017"),
    "exponential": ("exponential", "The same factor in every step, down to the end", ""),
    "inverse-sqrt": ("inverse_sqrt", "Inverse square root of the step", "Vaswani et al. 2017"),
    "linear": ("linear", "A straight line down to the end", ""),
    "one-cycle": ("one_cycle", "A cosine up and a longer one down", "Smith & Topin 2018"),
    "polynomial": ("polynomial", "A power of the remaining fraction of the run", ""),
    "step": ("step", "Multiplied by a factor at some steps", ""),
    "wsd": ("wsd", "Warm-up, stable, decay: constant until the last part of the run", "Hägele et al. 2024"),
}


def builtin_names(kind: Kind) -> list[str]:
    """The names of the optimizers or schedules that zoo itself offers."""
    registry = Registry()
    register_builtin(registry)
    return [entry.name for entry in registry.of_kind(kind)]


def register_builtin(registry: Registry) -> None:
    """Register them, for every catalog. Nothing is imported."""
    with registry.owned_by(BUILT_IN):
        for tag, module, table in (
            ("torch", "torch.optim:", _TORCH),
            ("torch", "zoo_core.optim.", _OURS),
            ("extra", "zoo_core.optim.extras:", _EXTRAS),
        ):
            for name, (target, summary, paper) in table.items():
                registry.optimizer(name, module + target, summary=summary, paper=paper, tags=(tag,))
        for name, (target, summary, paper) in _SCHEDULES.items():
            registry.schedule(name, f"zoo_core.optim.schedules:{target}", summary=summary, paper=paper)
