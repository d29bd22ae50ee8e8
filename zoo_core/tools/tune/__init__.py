"""What ``zoo tune`` finds out about a recipe by short trainings. Only ``cli`` may import it."""
