"""Compression: int8 networks, after training and in training, and where they run (chapter 12)."""
