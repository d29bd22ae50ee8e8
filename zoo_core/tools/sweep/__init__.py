"""Sweeps: a recipe trained again and again with other settings, and what came of each. See docs/sweeps.md."""
