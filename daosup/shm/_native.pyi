# Wherever `object` stands, a buffer is wanted: the type for that is in typing from Python 3.12 on only.
NEW: int
TIMEOUT: int
WOKEN: int
OTHER: int

class Window:
    cnt0: int
    cnt1: int
    cnt2: int
    atime_ns: int
    slot: int
    retries: int
    sequence: int
    sent: int
    skipped: int
    gaps: int
    taken: int
    passed_over: int
    missed_wakeups: int
    def __init__(
        self,
        memory: object,
        guard: int,
        fd: int,
        path: str,
        metadata_bytes: int,
        frame_bytes: int,
        depth: int,
        has_fifo: bool,
        semaphore_base: str,
        semaphore_count: int,
    ) -> None: ...
    def snapshot(self, buffer: object, offset: int, slot: int, timeout_s: float) -> None: ...
    def commit(self, buffer: object, offset: int, cnt2: int, atime_ns: int, after: int = ...) -> bool: ...
    def wait(self, last: int, semaphore: int, timeout_s: float, spin: bool) -> int: ...
    def send_frames(
        self,
        socket: int,
        header: bytes,
        semaphore: int,
        rest_s: float,
        read_timeout_s: float,
        until_s: float,
        begin: bytes = b"",
        end: bytes = b"",
    ) -> int: ...
    def note_sent(self) -> None: ...
    def take_frames(
        self, socket: int, begin: bytes, end: bytes, counter: int, until_s: float
    ) -> tuple[int, bytes | None]: ...
    def counter(self, slot: int = -1) -> int: ...
    def newest_slot(self) -> int: ...
    def check(self) -> None: ...
    def create_semaphores(self, mode: int) -> None: ...
    def kick(self, semaphore: int) -> bool: ...

def guard(memory: object) -> int: ...
def unguard(slot: int) -> None: ...
def renew_guards() -> None: ...
def load_libzmq(path: str) -> None: ...
def unlink_semaphores(base: str, count: int) -> None: ...
