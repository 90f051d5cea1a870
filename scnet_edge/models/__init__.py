"""Networks in PyTorch, their weights and cards."""
