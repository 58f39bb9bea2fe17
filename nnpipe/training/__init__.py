"""Training: objectives, losses, optimizers and the one loop; takes tensors and never sees the store."""
