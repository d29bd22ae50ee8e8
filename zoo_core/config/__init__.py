"""Settings, recipes and YAML files: reading, validation and merging. Imports no torch and, of zoo, only ``errors``,
``files``; every other package may import it."""
