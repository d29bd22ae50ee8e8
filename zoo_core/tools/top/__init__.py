"""The runs on this machine, from what they write. See docs/top.md. Imports no torch."""
