"""audit: rebuild and compare bytes, check provenance, find undeclared reads."""
