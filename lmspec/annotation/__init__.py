"""annotation: people label the rows of a list, in a terminal or on a page."""
