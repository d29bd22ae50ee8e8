"""Batches and image files: the data loader, the seeds of every step, reading and writing images and clips. Imports
``model``, ``dataset``, ``config`` and the modules below them; ``engine`` and every package above it may import it."""
