"""graph: params.yaml and the stage sources -> dvc.yaml; what would rerun and why."""
