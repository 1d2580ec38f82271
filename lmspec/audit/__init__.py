"""audit: is it what it says? Rebuild and compare bytes, provenance, undeclared reads."""
