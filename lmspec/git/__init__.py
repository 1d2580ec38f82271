"""git: its command, trees of commits, committed results, the merge driver."""
