"""git: its command, trees of commits, committed results, line endings, the merge driver."""
