"""reports: results as terminal text, Markdown, HTML, JSON, JUnit or annotations."""
