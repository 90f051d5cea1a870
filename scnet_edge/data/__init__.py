"""Data sets, augmentation and preprocessing."""
