"""Vendors on loopback: small servers that answer as the vendor's own specification says.

Each module has `make_app() -> (web.Application, fake)`; the fake holds the state, the `faults` to
switch on and the `violations` of the specification that were seen. By hand, in the folder `tests`:
`python -m fakes x --port 9101`.
"""
