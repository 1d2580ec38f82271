"""architectures: what a model computes: one module per kind."""
