"""methods: how one thing becomes the next: functions of values, no paths, no YAML."""
