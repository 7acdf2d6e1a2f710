"""Measurements, each as a cost per unit or a ratio; README.md has the figures."""
