"""attribution: was it data, spec or code? Mixes of two commits, built and measured."""
