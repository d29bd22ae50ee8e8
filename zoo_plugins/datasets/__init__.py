"""The bundled datasets."""
