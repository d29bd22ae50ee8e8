"""MNIST: the dataset, its files and their download. ``subset`` contains the bundled subset."""
