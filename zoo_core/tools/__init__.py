"""The tools behind the commands other than ``zoo run``: sweeps, export, benchmarks, demo, report, publishing, checks.

Each tool is a module or a package of its own and imports no internals of another tool. Only ``cli`` imports this
package.
"""
