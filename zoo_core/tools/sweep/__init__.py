"""Sweeps: a recipe trained several times with different settings, and the results. See docs/sweeps.md."""
