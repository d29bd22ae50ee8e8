"""One training run: assembling its parts from a recipe, the training loop, and the calls of hooks. Imports
``checkpoint`` and the packages below it; ``api``, ``tools``, ``testing`` and ``cli`` may import it."""
