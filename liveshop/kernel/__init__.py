"""What every room may lean on: time, ids, money, errors, text. Standard library only."""
