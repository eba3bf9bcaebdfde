"""Mails: written with their cause, sent by the worker, kept to be looked at."""
