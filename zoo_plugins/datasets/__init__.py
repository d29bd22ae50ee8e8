"""Data sets that ship with zoo."""
