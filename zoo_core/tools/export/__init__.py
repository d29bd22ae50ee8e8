"""Export of a model's forward as an ONNX file or an exported program, which is compared with the model."""
