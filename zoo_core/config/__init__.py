"""Settings, recipes and YAML files: how they are read, checked and merged.

Imports no torch and nothing of zoo but ``errors`` and ``files``; every other package may import it.
"""
