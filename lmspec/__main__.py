"""Run the command line as `python -m lmspec`."""

from lmspec.cli.main import main

main()
