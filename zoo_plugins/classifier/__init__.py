"""A small convolutional classifier of digits."""
