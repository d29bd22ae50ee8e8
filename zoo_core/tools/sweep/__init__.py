"""``zoo sweep``: a recipe trained with different settings, and the results (see docs/sweeps.md). Only ``cli`` may
import it."""
