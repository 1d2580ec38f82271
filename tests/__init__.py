"""tests: one file per room, and the laws of the house."""
