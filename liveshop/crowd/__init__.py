"""Simulated viewers, chatters and buyers against any Liveshop server, over HTTP and WebSocket only.

A rehearsal for hosts, a load test for operators, and a witness for tests: what every viewer was
given of the log is checked event by event. It knows of the server what clients know, and imports
nothing of it, so it can be sent to one of another version.
"""

from liveshop.crowd.arrivals import ARRIVALS, Arrival
from liveshop.crowd.crowd import Progress
from liveshop.crowd.looking import CannotStart, address_of
from liveshop.crowd.plan import BadPlan, Plan, counted
from liveshop.crowd.processes import run_crowd
from liveshop.crowd.report import Report
from liveshop.crowd.sequence import Record, Span
from liveshop.crowd.tally import Tick

__all__ = [
    "ARRIVALS",
    "Arrival",
    "BadPlan",
    "CannotStart",
    "Plan",
    "Progress",
    "Record",
    "Report",
    "Span",
    "Tick",
    "address_of",
    "counted",
    "run_crowd",
]
