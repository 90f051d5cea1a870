"""ONNX: trace, rewrite, halve, calibrate, quantise."""
