"""Networks for other programs: a model's forward as an ONNX file or an exported program, compared with the model."""
