"""specs: what each thing is: its fields, bounds and references."""
