"""Plugins that ship with zoo, written as a stranger would: they use zoo_core's public names only."""
