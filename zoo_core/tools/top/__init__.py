"""The status of the runs on this machine, read from their folders. See docs/top.md. Imports no torch."""
