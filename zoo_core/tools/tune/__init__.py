"""What ``zoo tune`` finds out about a recipe by short trainings. Imports ``training`` and what is below it; only
``cli`` imports it."""
