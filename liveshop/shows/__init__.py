"""Shows: their states, lineup and pins. Every change is an event of the show's room."""
