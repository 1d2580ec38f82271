"""formats: what lies on disk: each reader beside its writer."""
