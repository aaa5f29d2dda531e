"""Notices of segments, mirrors, links and readers."""

from __future__ import annotations

from daosup.core.notices.notice import Notice
from daosup.core.notices.running import NOTHING

SEGMENT_FOUND = Notice(
    "segment-found",
    "645ccbb353a240c0887d65c5b2cb664c",
    "info",
    "segment found",
    "A segment of this host is there and can be read by other hosts.",
    NOTHING,
    is_event=True,
)
SEGMENT_CHANGED = Notice(
    "segment-changed",
    "c166a3e4e6494b7ea973b7912f663e0c",
    "info",
    "segment made anew",
    "A segment of this host is another file than before, or looks otherwise. Its publisher and mirrors follow.",
    NOTHING,
    is_event=True,
)
SEGMENT_GONE = Notice(
    "segment-gone",
    "a662484561ef452fa948fe77ced721c9",
    "info",
    "segment gone",
    "The file of a segment was removed, or the configuration hides it. Its mirrors elsewhere become stale.",
    "Nothing, if its program was stopped on purpose.",
    is_event=True,
)
NOT_A_SEGMENT = Notice(
    "not-a-segment",
    "a66757860fc44e36838ad88eb85b3b64",
    "warning",
    "not a segment",
    "A file of the segment folder has a segment's name but cannot be used as one; REASON says why.",
    "If it belongs to a program that runs, see REASON; else remove FILE.",
)
FOLDER_NOT_WATCHED = Notice(
    "segment-folder-not-watched",
    "54968c359a3c461cbc577bebecdb4341",
    "warning",
    "the segment folder is not watched; it is looked through",
    "The kernel does not tell what happens there (REASON), so new segments are found up to a second later.",
    "If REASON names a limit, raise it with sysctl; if the folder is not there, make it or change segment_folder.",
)
FOLDER_WATCHED = Notice(
    "segment-folder-watched",
    "8f4b28d02fc44da780942d48a486bf0f",
    "info",
    "the segment folder is watched again",
    "The kernel tells at once what happens in the segment folder.",
    NOTHING,
)
ACCESS_GIVEN = Notice(
    "access-given",
    "966566b98aff4aa087c014ed3f57c059",
    "info",
    "access given to a segment",
    "A segment of another user may now be read and written by the user that daosupd runs as.",
    NOTHING,
)
ACCESS_REFUSED = Notice(
    "access-refused",
    "0e8e06e866a44a0e8aa417dd89ac2975",
    "warning",
    "no access to a segment for daosupd",
    "FILE is a segment of another user or one of its semaphores, and REASON says why daosupd cannot be let at it.",
    "If its file system has no access control lists, keep segments on one that has, or run daosupd as the user of the "
    "programs: systemctl edit daoserver@.service",
)
MIRROR_ASKED = Notice(
    "mirror-asked",
    "680f5ff190ee421c8d1fc660e083f0c5",
    "info",
    "mirror asked for",
    "HOLDER (an operator, the configuration or a program) wants SOURCE to be mirrored here, under the name SEGMENT.",
    NOTHING,
    is_event=True,
)
MIRROR_RELEASED = Notice(
    "mirror-released",
    "d1b5401cdd2b4e63b04d8b059d9684e9",
    "info",
    "mirror released",
    "Nobody here wants SOURCE any more; its mirror is removed.",
    NOTHING,
    is_event=True,
)
MIRROR_WRITTEN = Notice(
    "mirror-write-back-on",
    "e68275f34d9f4306b47c529733ec6427",
    "info",
    "mirror is written back",
    "What programs of this host write into the mirror is to go to SOURCE. HOLDERS want that.",
    NOTHING,
)
MIRROR_NOT_WRITTEN = Notice(
    "mirror-write-back-off",
    "194c2067a1b848be9dee894c27e90957",
    "info",
    "mirror is not written back any more",
    "Nobody wants to write to SOURCE from here any more.",
    NOTHING,
)
MIRROR_FILE_LEFT = Notice(
    "mirror-file-left",
    "ea2c3ea7cda243c6b9c78089961c44bd",
    "warning",
    "a mirror's file is left alone",
    "A mirror was to be removed, but its file is not the one that daosupd made; REASON says how.",
    "Remove the file by hand if nobody uses it.",
)
MIRROR_STRANGERS = Notice(
    "mirrors-of-unknown-origin",
    "46f900f7b5014d668eb9a2a4123f1c59",
    "info",
    "mirrors of unknown origin are left alone; remove them if nobody uses them",
    "There are COUNT files that look like mirrors and that no daosupd of this host made; FILES names some.",
    "Remove them if no other daemon serves them.",
)
LINK_UP = Notice(
    "link-up",
    "3bda0cc42f11480989b0ec5635c41483",
    "info",
    "link up",
    "The mirror hears its source.",
    NOTHING,
    is_event=True,
)
LINK_DOWN = Notice(
    "link-down",
    "c5d6f374f46f4ac3aa217fe8ba98cbf6",
    "warning",
    "link down",
    "The mirror does not hear its source; REASON says why. Its last frame stays, marked as stale.",
    "See whether PEER and the network between the hosts are well: daosupctl doctor. It heals by itself.",
    is_event=True,
)
DIRECT = Notice(
    "direct",
    "ad9acb84df6046ae9650173c8ed1fb2f",
    "info",
    "frames come directly",
    "The mirror has a TCP connection of its own to its owner, which takes less time than ZeroMQ.",
    NOTHING,
    is_event=True,
)
NOT_DIRECT = Notice(
    "not-direct",
    "5b0c7ec851ed425b8f06dd4efe42259b",
    "warning",
    "frames do not come directly",
    "The mirror wants a TCP connection of its own to its owner, and cannot have it; REASON says why. Where transport "
    "is auto, frames come by ZeroMQ meanwhile; it is tried again every 30 s.",
    "Open the port that REASON names, on PEER and on the way, to this host; daosupctl doctor looks at it. Or set "
    "transport to zmq.",
    is_event=True,
)
MIRROR_BLOCKED = Notice(
    "mirror-blocked",
    "de5af4486409490fa4fdaa27e2c463d2",
    "warning",
    "mirror cannot be made",
    "The file of the mirror cannot be made or filled; REASON says why. It is tried again and again.",
    "Make room, or remove what is in its place, as REASON says.",
    is_event=True,
)
MIRROR_MADE = Notice(
    "mirror-made",
    "240b221d8d974c46b3c4a81287fb99bf",
    "info",
    "mirror made after all",
    "What kept the mirror from being made is over.",
    NOTHING,
    is_event=True,
)
FRAMES_REJECTED = Notice(
    "frames-rejected",
    "c9a3d86b034b4165bf21a5179e09ae63",
    "warning",
    "something came that is no frame; it is dropped",
    "What arrives at a mirror does not decode, so it is counted and dropped. WARNING says what it was.",
    "See which program sends to this address; between different versions, update the older one.",
    is_event=True,
)
PUBLISHER_WAITS = Notice(
    "publisher-away",
    "7e1baed0ee734ae9b40c8ef224adc004",
    "warning",
    "publisher away: it waits for its segment",
    "The segment's file is not there or cannot be read; REASON says why. Its mirrors are stale meanwhile.",
    "Start the program that makes the segment, or see REASON. It goes on by itself.",
    is_event=True,
)
PUBLISHER_BACK = Notice(
    "publisher-back",
    "ec28ec7465e04c6f9ecbc5b6c635d18b",
    "info",
    "publisher back: its segment is there",
    "The segment is there again and is sent.",
    NOTHING,
    is_event=True,
)
PUBLISHER_STUCK = Notice(
    "publisher-stuck",
    "968aee9e6db54ba99a0bf81ff7fca1d2",
    "warning",
    "publisher finds no whole frame",
    "New frames are counted, but none can be read whole: the segment is written faster than it can be copied, or its "
    "writer ended in the middle of a frame. REASON says more.",
    "See whether its writer lives, and whether this host has CPU time for the publisher.",
    is_event=True,
)
PUBLISHER_FLOWING = Notice(
    "publisher-flowing",
    "21ceaeee5a4144cf885c7f3888f43e59",
    "info",
    "publisher finds whole frames again",
    "Frames can be read and are sent again.",
    NOTHING,
    is_event=True,
)
WRITING_ALLOWED = Notice(
    "write-back-allowed",
    "5f54a48bade548e49045fdffdf82e14c",
    "info",
    "writing back allowed",
    "The owner of SOURCE takes what is written into the mirror.",
    NOTHING,
    is_event=True,
)
WRITING_REFUSED = Notice(
    "write-back-refused",
    "a7e73a9a8bf24d6ea901bd3203befeb9",
    "warning",
    "writing back refused",
    "The owner of SOURCE does not take what is written into the mirror; REASON says why.",
    "Have the owner allow it ([publish] read_only, single_writer), or let the present writer end.",
    is_event=True,
)
READER_VANISHED = Notice(
    "reader-vanished",
    "2f299babddbb4a38a9265af2f659d75a",
    "warning",
    "reader vanished",
    "PEER read a segment of this host and gave no sign of life any more. It counts as a reader no longer.",
    "See whether PEER was cut off or switched off; it comes back by itself.",
    is_event=True,
)
OLD_READER_ASKS = Notice(
    "old-reader-asks",
    "f42dc2b02e2b4d73b46c5a6b17c76f12",
    "info",
    "old reader asks",
    "PEER, which runs the existing daemon, asks for a segment.",
    NOTHING,
)
OLD_READER_FOUND = Notice(
    "old-reader-found",
    "93b70e0437a54d74ab6ba4b4b553e05f",
    "info",
    "old reader found",
    "PEER, which runs the existing daemon, was found to read a segment.",
    NOTHING,
)
OLD_READER_WRITES = Notice(
    "old-reader-writes",
    "360bce13c75543adac01756440963db7",
    "info",
    "old reader writes",
    "PEER, which runs the existing daemon, also writes to the segment.",
    NOTHING,
)
OLD_READER_REFUSED = Notice(
    "old-reader-refused",
    "d36010efd7e14c908f5017e18547d625",
    "warning",
    "old reader wants to write, and cannot",
    "What PEER says of itself cannot be used to follow what it writes; REASON says why.",
    "See the daemon of PEER. It can read all the same.",
)
OLD_WRITERS_UNTOLD = Notice(
    "old-writers-untold",
    "208d7762daac467098a5aee898b6db20",
    "warning",
    "a publisher cannot be told who writes back",
    "The file that tells the publisher which old readers write to its segment cannot be written.",
    "See that the runtime folder has room and may be written by the service's user.",
)
OLD_WRITERS_FORGOTTEN = Notice(
    "old-writers-forgotten",
    "07e40ac1ab8047e4a7977b478835206f",
    "warning",
    "who writes back to a segment is forgotten",
    "What the daosupd before this one wrote down of it cannot be read (FILE, REASON).",
    "Have the old hosts that write ask for their streams again.",
)
