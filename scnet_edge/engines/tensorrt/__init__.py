"""TensorRT on an NVIDIA GPU."""
