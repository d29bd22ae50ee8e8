"""The folder of a run: its files, its lock, its sessions, and the ``Run`` that hooks are given.

Imports no torch and, of zoo, only ``config``, ``files`` and ``errors``, so that light commands can read runs.
"""
