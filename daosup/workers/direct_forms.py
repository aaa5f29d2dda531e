"""The forms in which direct readers of a publisher want its frames: whole, or a part of each of them; packed or not.

Invariants: a form is made once, however many readers want it, and ends with the last of them; what its readers are told
of the segment is what they get of it. Where a segment that was made anew has no such part any more, its readers are
told so, and let go.
"""

from __future__ import annotations

from typing import NamedTuple, Optional

from daosup.core.cutting import cut_axes, cut_geometry
from daosup.core.delivery import COMPRESSIONS, Delivery
from daosup.core.dnet import encode_bye, encode_describe
from daosup.core.header import Description
from daosup.core.layout import ELEMENT_TYPES
from daosup.errors import UsageError
from daosup.shm import lz4
from daosup.shm._native import MOST_FORMS, DirectSender
from daosup.stream.sender import Messages

#: Whole frames, as they are.
WHOLE = 0
#: The form of a reader, in its id.
_FORM_SHIFT = 32


class _Form(NamedTuple):
    """What readers of the same form have in common of their deliveries."""

    roi: tuple[tuple[int, int], ...]
    stride: tuple[int, ...]
    compress: str


_WHOLE_FORM = _Form((), (), COMPRESSIONS[0])


class DirectForms:
    """Those of one segment; ``sender`` makes and sends them."""

    def __init__(self, sender: DirectSender) -> None:
        self._sender = sender
        self._messages: Optional[Messages] = None
        # The segment itself may be away when somebody comes.
        self._counter, self._keywords = 0, b""
        self._ids: dict[_Form, int] = {}

    def begin(self, messages: Messages) -> None:
        """The segment of ``messages`` is what is published from now on; the sender knows."""
        self._messages = messages
        self._look(messages)
        for form, id in self._there().items():
            try:
                self._make(form, id)
            except UsageError as error:
                self._dismiss(id, str(error))

    def _look(self, messages: Messages) -> None:
        self._counter, self._keywords = messages.segment.counter, messages.segment.keywords.raw()

    def describe(self, messages: Messages) -> None:
        """The segment's keywords changed."""
        self._look(messages)
        for form, id in self._there().items():
            try:
                self._sender.describe_form(id, self._description(form))
            except UsageError:  # those were let go
                continue

    def why_not(self, delivery: Delivery) -> Optional[str]:
        """Why the segment's frames cannot be had so, if so."""
        form = _form_of(delivery)
        if self._messages is None or form == _WHOLE_FORM:
            return None
        try:
            cut_axes(delivery, self._messages.segment.geometry.shape)
        except UsageError as error:
            return str(error)
        there = self._there()
        if form not in there and len(there) >= MOST_FORMS:
            return f"its frames are wanted in {MOST_FORMS} ways already"
        return lz4.why_not(delivery.compress, "at the owner")

    def form_of(self, delivery: Delivery) -> int:
        """Its id for ``DirectSender.add``.

        Raises:
            UsageError: If there is none such.
            OSError: If there are too many others.
        """
        form = _form_of(delivery)
        if form == _WHOLE_FORM:
            return WHOLE
        there = self._there()
        if form not in there:
            there[form] = self._make(form, 0)
        return there[form]

    def _there(self) -> dict[_Form, int]:
        """Those that were not ended meanwhile."""
        known = set(self._sender.forms)
        self._ids = {form: id for form, id in self._ids.items() if id in known}
        return self._ids

    def _make(self, form: _Form, id: int) -> int:
        assert self._messages is not None
        geometry = self._messages.segment.geometry
        axes = cut_axes(_delivery(form), geometry.shape)
        element_bytes = ELEMENT_TYPES[geometry.atype][1]
        return self._sender.form(id, element_bytes, axes, self._description(form), form.compress != COMPRESSIONS[0])

    def _description(self, form: _Form) -> bytes:
        assert self._messages is not None
        whole = self._messages.description
        description = Description(cut_geometry(_delivery(form), whole.geometry), whole.creation_time, whole.source)
        return encode_describe(description, self._messages.epoch, self._counter, self._keywords)

    def _dismiss(self, id: int, reason: str) -> None:
        """Say goodbye to the readers of a form; they go, and then it does."""
        for reader, *_ in self._sender.readers():
            if reader >> _FORM_SHIFT == id:
                self._sender.answer(reader, encode_bye(reason))


def _form_of(delivery: Delivery) -> _Form:
    return _Form(delivery.roi, delivery.stride, delivery.compress)


def _delivery(form: _Form) -> Delivery:
    return Delivery(roi=form.roi, stride=form.stride)
