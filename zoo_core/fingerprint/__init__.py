"""Fingerprints of data, values computed for each of many files (cached, in threads, with a progress line), and the
random state and the errors of reading examples. Imports ``config``, ``files`` and ``errors``; ``dataset`` and every
package above it may import it."""
