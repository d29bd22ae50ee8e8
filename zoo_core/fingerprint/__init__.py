"""Fingerprints of data, and values computed for each of many files: cached, in threads, with a progress line. Imports
``config``, ``files`` and ``errors``; ``dataset`` and every package above it may import it."""
