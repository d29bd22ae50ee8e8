"""The recipe used in tests of sweeps."""

RECIPE = """
recipes:
  line:
    model: {name: line}
    dataset: {name: points}
    trainer: {name: line}
    run: {steps: 30, batch_size: 8, log_every: 10, checkpoint_every: 10, preview_every: 0, device: cpu, threads: 1}
"""
