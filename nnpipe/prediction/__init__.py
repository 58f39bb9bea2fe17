"""Asking a trained network about new examples, whatever file it is in and whatever files they are in."""
