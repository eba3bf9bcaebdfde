"""Meta: Facebook Pages, Instagram and catalogs, by one Graph API.

`graph` speaks to it, `errors` knows what its answers mean; `page`, `instagram` and `catalog` are
the connectors.
"""
