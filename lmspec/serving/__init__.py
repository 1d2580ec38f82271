"""The service of a bundle: requests, a bounded queue, answers, limits, and a clean end."""
