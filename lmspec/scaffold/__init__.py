"""scaffold: a new project for one table of texts and labels, or of prompts and answers."""
