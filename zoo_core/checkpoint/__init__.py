"""Checkpoints: the state of a trainer as tensors and JSON, written atomically and verified when read; nothing is
pickled. Imports ``weights`` and the packages below it; ``training`` and every package above it may import it."""
