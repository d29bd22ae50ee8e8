"""Code shared by the trainers of several bundled plugins. It registers nothing and imports only ``zoo_core``."""
