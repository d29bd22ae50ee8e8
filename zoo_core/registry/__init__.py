"""Installed plugins and the names they register: models, trainers, data sets, recipes and weights.

The catalog resolves a name to an entry without importing the class behind it. Imports no torch and, of zoo, only
``config``, ``hookspecs``, ``files`` and ``errors``.
"""
