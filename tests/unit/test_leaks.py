"""The leak check finds each kind of leak, blames the right test, cleans up, and accuses nobody wrongly."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.leaks import WATCH
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]

CONFTEST = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
pytest_plugins = ["tests.leaks"]

def pytest_configure(config):
    import tests.leaks
    tests.leaks.GRACE_S = 0.3
"""

HEAD = """
import os, pathlib, signal, socket, subprocess, sys, threading, time
import pytest
from tests.leaks import WATCH
from tests.waiting import wait_until

NAP = [sys.executable, "-c", "import time; time.sleep(60)"]
SHM = pathlib.Path("/dev/shm")
"""


@pytest.fixture
def outcome(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    """Run test functions under the leak check; give their outcomes and all that was printed."""
    pytester.makeconftest(CONFTEST)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    def run(tests: str) -> tuple[dict[str, int], str, int]:
        pytester.makepyfile(HEAD + tests)
        result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
        return result.parseoutcomes(), result.stdout.str(), result.ret

    return run


def test_a_child_process_is_reported_with_its_command_and_killed(outcome):
    outcomes, text, _ = outcome("""
def test_leaks():
    test_leaks.child = subprocess.Popen(NAP)

def test_next():
    assert not pathlib.Path(f"/proc/{test_leaks.child.pid}").exists()
""")
    assert outcomes == {"passed": 2, "errors": 1}
    assert "test_leaks" in text
    assert "time.sleep(60)" in text


def test_an_orphan_of_a_dead_child_is_reported_and_killed(outcome, tmp_path):
    note = tmp_path / "orphan"
    orphan = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(61)"
    outcomes, text, _ = outcome(f"""
def test_leaks():
    start = "import os, sys; os.posix_spawn(sys.executable, ['python', '-c', sys.argv[1]], os.environ)"
    subprocess.run([sys.executable, "-c", start, {orphan!r}], check=True)
    wait_until(pathlib.Path({str(note)!r}).exists)
""")
    assert outcomes == {"passed": 1, "errors": 1}
    assert "time.sleep(61)" in text
    wait_until(lambda: not is_running(int(note.read_text())), what="the orphan's end")


def test_a_child_that_nobody_waited_for_is_reported(outcome):
    outcomes, text, _ = outcome("""
def test_leaks():
    test_leaks.child = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, test_leaks.child.pid, os.WEXITED | os.WNOWAIT)
""")
    assert outcomes == {"passed": 1, "errors": 1}
    assert "ended but not waited for" in text


def test_a_thread_is_reported_by_its_name(outcome):
    outcomes, text, _ = outcome("""
def test_leaks():
    test_leaks.end = threading.Event()
    threading.Thread(target=test_leaks.end.wait, name="forgotten", daemon=True).start()

def test_next():
    test_leaks.end.set()
""")
    assert outcomes == {"passed": 2, "errors": 1}
    assert "forgotten" in text


def test_open_files_sockets_and_pipes_are_reported(outcome):
    outcomes, text, _ = outcome("""
def test_file(tmp_path):
    test_file.kept = (tmp_path / "left_open").open("w")

def test_socket():
    test_socket.kept = socket.socket()

def test_pipe():
    test_pipe.kept = os.pipe()
""")
    assert outcomes == {"passed": 3, "errors": 3}
    assert "left_open" in text
    assert "socket:[" in text
    assert "pipe:[" in text


def test_a_semaphore_is_reported(outcome):
    outcomes, text, _ = outcome("""
def test_leaks():
    (SHM / f"sem.leak_check_{os.getpid()}").write_bytes(b"")

def test_next():
    (SHM / f"sem.leak_check_{os.getpid()}").unlink(missing_ok=True)
""")
    assert outcomes == {"passed": 2, "errors": 1}
    assert "/dev/shm/sem.leak_check_" in text


def test_shared_memory_of_other_programs_is_out_of_reach(outcome, request):
    if not request.config.stash[WATCH].is_shm_private:
        pytest.skip("this user cannot have a /dev/shm of its own: needs CAP_SYS_ADMIN")
    theirs = Path(f"/dev/shm/sem.theirs_{os.getpid()}")
    theirs.touch()
    try:
        outcomes, _, _ = outcome("""
def test_sees_nothing():
    assert os.listdir(SHM) == []
""")
        assert outcomes == {"passed": 1}
        assert theirs.exists()
    finally:
        theirs.unlink()


def test_what_vanishes_soon_is_no_leak(outcome):
    outcomes, _, _ = outcome("""
def test_fine():
    threading.Timer(0.1, lambda: None).start()
""")
    assert outcomes == {"passed": 1}


def test_processes_that_multiprocessing_keeps_for_itself_are_no_leak(outcome):
    outcomes, text, _ = outcome("""
import multiprocessing

def test_fine():
    context = multiprocessing.get_context("forkserver")
    worker = context.Process(target=os.getpid)
    worker.start()
    worker.join()
    worker.close()

def test_leaks():
    context = multiprocessing.get_context("forkserver")
    context.Process(target=time.sleep, args=(60,)).start()
""")
    assert outcomes == {"passed": 2, "errors": 1}
    assert "ERROR at teardown of test_leaks" in text


def test_fixtures_of_any_scope_may_hold_things_while_they_live(outcome):
    outcomes, text, code = outcome("""
def hold():
    child = subprocess.Popen(NAP)
    kept = open(os.devnull)
    (SHM / f"sem.held_{child.pid}").touch()
    yield child
    (SHM / f"sem.held_{child.pid}").unlink()
    kept.close()
    child.kill()
    child.wait()

for_session = pytest.fixture(hold, scope="session")
for_module = pytest.fixture(hold, scope="module")
for_test = pytest.fixture(hold)

def test_one(for_test, for_session):
    pass

def test_two(for_module, for_session, for_test):
    assert for_module.poll() is None
    assert for_session.poll() is None

def test_three():
    pass
""")
    assert outcomes == {"passed": 3}, text
    assert code == 0


def test_what_a_session_fixture_leaves_fails_the_run(outcome):
    outcomes, text, code = outcome("""
@pytest.fixture(scope="session")
def server():
    return subprocess.Popen(NAP)

def test_one(server):
    pass
""")
    assert outcomes == {"passed": 1}
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "LEFT BEHIND" in text
    assert "time.sleep(60)" in text


def is_running(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] != "Z"
