"""MNIST: its files, where they come from, and the data set. The subset that ships with zoo is in ``subset``."""
