"""What the trainers of several bundled plugins share. It registers nothing and imports only ``zoo_core``."""
