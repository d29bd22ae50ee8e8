"""One training run: its parts are assembled from a recipe, the loop drives the trainer, hooks are called.

Imports ``checkpoint``, ``weights``, ``engine``, ``runs``, ``data`` and ``registry``; ``api``, ``tools``, ``testing``
and ``cli`` import it.
"""
