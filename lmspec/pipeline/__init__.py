"""pipeline: specs -> dvc.yaml; what DVC will run, and for how long; parallel builds."""
