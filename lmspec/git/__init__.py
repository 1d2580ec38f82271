"""git: what git has: its command, trees of files, committed results, the merge driver."""
