"""reports: a report as terminal text, Markdown, HTML, JSON, JUnit or annotations."""
