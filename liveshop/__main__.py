"""`python -m liveshop` is the command line."""

from liveshop.cli import main

main()
