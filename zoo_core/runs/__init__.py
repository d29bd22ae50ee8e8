"""The folder of a run: its files, its lock, its sessions, and the ``Run`` that hooks receive. Imports no torch and, of
zoo, only ``config`` and the modules below it, so that light commands can read runs; ``engine`` and every package
above it may import it."""
