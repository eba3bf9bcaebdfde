"""The demo: a fictional shop, its drawn pictures, and a film of real video and music."""
