"""pipeline: specs -> dvc.yaml; what DVC will do, for how long; side by side."""
