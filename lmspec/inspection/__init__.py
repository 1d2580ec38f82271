"""inspection: what was built, for people: results from git, and the texts of a corpus."""
