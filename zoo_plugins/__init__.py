"""The bundled plugins. Like third-party plugins, they use the public names of ``zoo_core`` only."""
