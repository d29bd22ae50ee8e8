"""The commands apart from ``zoo run``: sweeps, export, benchmarks, demo, report, publishing and verification. Each tool
is a module or a package. Imports ``api`` and everything below it; only ``cli`` may import it."""
