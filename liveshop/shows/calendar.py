"""A show as a calendar file (RFC 5545)."""

from datetime import datetime, timedelta

from icalendar import Alarm, Calendar, Event

from liveshop.shows.model import Show

_ASSUMED_LENGTH = timedelta(hours=1)


def calendar_of(show: Show, *, url: str, now: datetime) -> bytes:
    """One event with an alarm a quarter of an hour before. `show.starts_at` must be set."""
    assert show.starts_at is not None
    event = Event()
    event.add("uid", f"{show.id}@liveshop")
    event.add("dtstamp", now)
    event.add("dtstart", show.starts_at)
    event.add("dtend", show.ended_at or show.starts_at + _ASSUMED_LENGTH)
    event.add("summary", show.title)
    event.add("description", f"{show.description}\n\n{url}".strip())
    event.add("url", url)
    event.add("sequence", show.version)
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", show.title)
    alarm.add("trigger", timedelta(minutes=-15))
    event.add_component(alarm)
    calendar = Calendar()
    calendar.add("prodid", "-//Liveshop//Shows//EN")
    calendar.add("version", "2.0")
    calendar.add_component(event)
    result: bytes = calendar.to_ical()
    return result
