"""attribution: was it data, spec or code? The mixes of two commits, built and weighed."""
