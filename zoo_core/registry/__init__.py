"""Installed plugins and the names that they register: models, trainers, datasets, recipes and weights. A name is
resolved to an entry without importing the class behind it. Imports no torch and, of zoo, only ``config``,
``hookspecs`` and the modules below them; every package but ``config`` may import it."""
