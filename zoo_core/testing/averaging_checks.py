"""The checks of a recipe that what it averages does not depend on how the examples are divided."""

from __future__ import annotations

from zoo_core.errors import ZooError
from zoo_core.testing.check import Skip, Subject, check, require
from zoo_core.testing.first_gradients import Gradients, difference, first_gradients
from zoo_core.testing.recipe_checks import built, skip_without_dataset, small_recipe
from zoo_core.testing.sample_evaluation import NUM_EXAMPLES, different, evaluate


@check(
    "recipe",
    "A batch in parts (run.grad_accumulation_steps) gives the gradients of the whole batch, also if the parts have "
    "unequal numbers of pixels, tokens or class weights.",
    "Divide the sum of the loss by engine.normalizer(batch, count). If the loss compares the examples of a batch, "
    "refuse engine.grad_accumulation_steps > 1 in setup(), or set supports_grad_accumulation = False.",
)
def parts_have_the_gradients_of_the_batch(subject: Subject) -> None:
    skip_without_dataset(subject)
    size = small_recipe(subject).run_settings().examples_per_step
    divisors = [parts for parts in (4, 2) if size % parts == 0]
    if not divisors:
        raise Skip(f"a batch of {size} examples cannot be split into 2 or 4 parts of the same size")
    with built(subject) as loop:
        if not loop.run.trainer.supports_grad_accumulation:
            raise Skip("the trainer does not support gradient accumulation")
        expected = first_gradients(loop)
    found = _difference_in_parts(subject, divisors, expected)
    if found and _is_random(subject, expected):
        raise Skip("step() draws random numbers in another way than with PyTorch's default generators")
    require(not found, f"with {found}")


@check(
    "recipe",
    "Metrics of an evaluation do not depend on the batch size, so that a smaller last batch counts less.",
    "In evaluate(), add up sums and counts over the batches and divide once, after the loop; do not average means.",
)
def metrics_do_not_depend_on_the_batch_size(subject: Subject) -> None:
    skip_without_dataset(subject)
    with built(subject) as loop:
        count = min(NUM_EXAMPLES, len(loop.splits.test))
        if count < 2:
            raise Skip("it has fewer than 2 test examples")
        whole = evaluate(loop, count)
        if not whole:
            raise Skip("evaluate() returns no metrics")
        found = different(whole, evaluate(loop, count - 1))  # the last batch has one example
        if found and different(whole, evaluate(loop, count, seed=1)):
            raise Skip("evaluate() draws random numbers")
        require(not found, f"in one batch of {count} examples and in two, {', '.join(found[:3])}")


def _difference_in_parts(subject: Subject, divisors: list[int], expected: list[Gradients]) -> str:
    """How the gradients of a batch in parts differ from those ``expected``; empty if they do not.

    Raises:
        Skip: if the trainer refuses each number of parts.
    """
    reason = ""
    for parts in divisors:
        try:
            with built(subject, overrides=(f"run.grad_accumulation_steps={parts}",)) as loop:
                found = difference(expected, first_gradients(loop))
        except ZooError as error:
            reason = error.message
            continue
        return f"{parts} parts instead of one, {found}" if found else ""
    raise Skip(f"it does not support gradient accumulation: {reason}")


def _is_random(subject: Subject, expected: list[Gradients]) -> bool:
    """Whether the gradients depend on the seed, although PyTorch's random numbers are constant."""
    with built(subject) as loop:
        return bool(difference(expected, first_gradients(loop, seed=1)))
