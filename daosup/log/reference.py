"""Writes what is said of all notices elsewhere, from their one list.

``python -m daosup.log.reference catalog > systemd/daosup.catalog``: for ``journalctl -x``;
``python -m daosup.log.reference markdown > docs/journal.md``: for people.
"""

from __future__ import annotations

import sys
import textwrap

from daosup.core.notices import BY_SECTION
from daosup.core.notices.notice import Notice

_CATALOG_HEAD = """\
# Explains daosup's entries in the journal: journalctl -x -t daosup
# Written by `python -m daosup.log.reference catalog > systemd/daosup.catalog`; a test compares.
"""

_HEAD = """\
# What daosup writes into the journal

<!-- Written by `python -m daosup.log.reference markdown > docs/journal.md`; a test compares. -->

Under systemd, daosupd logs to the journal; started by hand it writes the same as lines to standard error
(`TIME LEVEL message key=value ...`). Everything that it tells an operator is one of the notices below. Their names and
ids stay the same for ever; programs should go by those and by fields, not by texts.

    daosupctl logs                     what happened on this host
    daosupctl logs wfs -f              of one segment, as it happens
    daosupctl logs rts:wfs --since 1h  of what shows or publishes it here, within the last hour
    daosupctl logs -x -p warning       with what it means and what to do
    daosupctl logs -H lab              what happened on lab
    daosupctl logs --all -f            what happens on all hosts

What is marked as *event* is told to the whole fleet as well: `daosupctl events` shows those of all hosts, and a program
can be run for each (`[[hook]]` in [the configuration](configuration.md), [decision 23](decisions/0023-events.md)).

`journalctl` itself can choose by any field:

    journalctl -t daosup SEGMENT=wfs                   what concerns this segment
    journalctl -t daosup PEER=rts                      what concerns another host
    journalctl -t daosup NOTICE=worker-died            each death of a worker
    journalctl MESSAGE_ID={died}  the same
    journalctl -t daosup CAUSE_ID=5f0c1b2a-17          one story: all that followed from one event
    journalctl -t daosup -o json WORKER_KIND=mirror    for programs

## Fields

| field | what it says |
|---|---|
| `MESSAGE_ID`, `NOTICE` | which notice it is: its id and its name |
| `SEGMENT` | the segment of this host that is concerned, by its name here; for a mirror that of the mirror's own file |
| `SOURCE` | the same by its owner, `HOST:NAME`: equal for a publisher and for all mirrors of it |
| `WORKER_KIND`, `WORKER_PID` | `publisher` or `mirror`, and its process |
| `PEER` | the other host that is concerned: a mirror's owner, a reader, a master |
| `CAUSE_ID` | the event that this follows from; what happens to a worker until it works (again) has one id |
| `CAUSE`, `REASON`, `WARNING`, `MISTAKE` | why, in words |
| `HOOK`, `EVENT` | the program of a `[[hook]]`, and the event that it was run for |
| `REPEATED` | in `log-repeated`: how many entries were not written |
| `CUT_BYTES` | in `worker-output`: how much was left out |

A notice that comes more than five times within 30 s with the same `SEGMENT`, `SOURCE`, `WORKER_KIND`, `PEER`, `FILE`
and `HOOK` is counted from then on; `log-repeated` tells the count every 30 s and at the end. What a worker, or a
library in it, writes to its standard output or error comes as `worker-output`, a traceback as one `worker-traceback`.
"""

_ROW = "| notice | level | message | what it means | what to do |\n|---|---|---|---|---|\n"
_EVENT = "<br>*event*"


def catalog() -> str:
    """The catalog of systemd."""
    entries = (_catalog_entry(each) for section in BY_SECTION.values() for each in section)
    return "\n".join([_CATALOG_HEAD, *entries])


def _catalog_entry(notice: Notice) -> str:
    advice = "" if notice.advice == "Nothing." else "\n" + textwrap.fill(f"What to do: {notice.advice}", 78) + "\n"
    return (
        f"# {notice.name}\n-- {notice.message_id}\nSubject: {notice.text}\nDefined-By: daosup\n"
        f"Documentation: man:daosupd(8)\n\n{textwrap.fill(notice.explanation, 78)}\n{advice}"
    )


def markdown() -> str:
    """The page for people."""
    died = next(each.message_id for section in BY_SECTION.values() for each in section if each.name == "worker-died")
    sections = [_HEAD.format(died=died)]
    for title, notices in BY_SECTION.items():
        rows = "".join(_row(each) for each in notices)
        sections.append(f"## {title}\n\n{_ROW}{rows}")
    return "\n".join(sections)


def _row(notice: Notice) -> str:
    name = f"`{notice.name}`<br>{notice.message_id}{_EVENT if notice.is_event else ''}"
    return f"| {name} | {notice.level} | {notice.text} | {notice.explanation} | {notice.advice} |\n"


if __name__ == "__main__":
    print({"catalog": catalog, "markdown": markdown}[sys.argv[1]](), end="")
