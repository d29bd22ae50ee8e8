"""Devices, precision, memory and processes, and the only use of Accelerate. Imports ``runs``, ``data``, ``trainer`` and
the modules below them; ``weights`` and every package above it may import it."""
