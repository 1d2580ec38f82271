"""lmspec: a reproducible, declarative build system for language models."""
