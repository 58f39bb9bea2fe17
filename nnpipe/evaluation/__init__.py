"""Measuring: what predictions are worth, with intervals; takes arrays and never sees networks or the store."""
