"""What the commands beside ``zoo run`` do: sweeps, export, benchmarks, demo, report, publishing and verification.

Each tool is a module or a package of its own and imports no other tool's internals. Only ``cli`` imports this package.
"""
