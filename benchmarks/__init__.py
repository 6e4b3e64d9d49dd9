"""Measurements, side by side in one run and as ratios. Nothing here asserts a time."""
