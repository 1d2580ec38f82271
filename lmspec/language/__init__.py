"""language: params.yaml: read with positions, checked, explained."""
