"""``zoo top``: the runs on this machine, read from their folders (see docs/top.md). Imports no torch; only ``cli`` may
import it."""
