"""Checkpoints: the state of a trainer as tensors and JSON, written whole, hashed and read back.

Nothing is pickled. Imports ``weights`` (for safetensors files) and what is below it; ``training``, ``testing`` and
``tools`` import it.
"""
