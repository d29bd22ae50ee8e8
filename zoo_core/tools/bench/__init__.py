"""``zoo bench``: benchmarks of training and inference. Only ``cli`` may import it."""
