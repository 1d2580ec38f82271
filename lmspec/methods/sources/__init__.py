"""sources: how raw inputs are fetched: one module per kind."""
