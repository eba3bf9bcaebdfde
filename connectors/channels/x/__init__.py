"""X. `api` speaks to it by tweepy; `poster` is the connector."""
