"""scaffold: a new project for one table of texts, or of prompts and answers; a deployment."""
