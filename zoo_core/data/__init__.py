"""Batches and files of images: the loader, the seeds of every step, reading and writing images and clips.

Imports ``model``, ``dataset`` and ``config``; every package above the registry may import it.
"""
