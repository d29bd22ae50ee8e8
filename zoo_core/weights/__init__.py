"""Weights files: safetensors with a header that says what they are, loaded, hashed, fetched and cached.

Imports ``engine``, ``runs``, ``registry`` and what is below them; ``checkpoint``, ``training``, ``tools``,
``testing`` and ``api`` import it.
"""
