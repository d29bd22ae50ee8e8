"""How fast a model is on this machine: trained by a recipe, or asked for predictions."""
