"""Layers the baselines share."""
