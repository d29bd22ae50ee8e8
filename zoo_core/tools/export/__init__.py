"""``zoo export``: the network of a model as an ONNX file or an exported program, compared with the model. Only ``cli``
may import it."""
