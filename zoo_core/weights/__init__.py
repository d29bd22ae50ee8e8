"""Weights files: safetensors with a header that describes them; writing, loading, hashing, downloading and caching.
Imports ``engine`` and the packages below it; ``checkpoint`` and every package above it may import it."""
