"""forms: a report of `lmspec diff` as text for terminals, pull requests, browsers and machines."""
