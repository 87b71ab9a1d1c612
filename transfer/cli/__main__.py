"""`python -m transfer.cli`: the same program as the console script."""

from transfer.cli.app import main

main()
