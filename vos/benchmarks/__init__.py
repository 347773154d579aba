"""Measurements of speed, side by side with others' code on the same data."""
