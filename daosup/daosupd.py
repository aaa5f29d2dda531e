"""daosupd: the supervisor of a host as a program.

Nothing heavy is imported before ``main`` runs: --help and mistakes are told at once.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from daosup.config import Config
    from daosup.errors import DaosupError

#: Exit code after a fault of our own.
FAILED = 1

EPILOG = """\
A key of the configuration can be given as --set TABLE.KEY=VALUE, with the value as in TOML.
Exit codes: 0 stopped, 64 wrong command line, 69 something needed is away, 78 wrong configuration.

Examples:
  daosupd --instance master                     what `systemctl start daoserver@master` runs
  daosupd --redis-host 192.168.64.2 --role minion
  daosupd --role master --takeover              be master although another host is; that one becomes a minion
  daosupd --config ./lab.toml --set log.level='"debug"'
  daosupd --discover
"""


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the supervisor; returns the exit code."""
    import faulthandler

    from daosup.completing import ASKED, answer
    from daosup.errors import ConfigError, DaosupError

    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == [ASKED]:
        return answer(_offers, given[1:])
    if sys.stderr is not None:
        # A loop that hangs is aborted by systemd's watchdog: then the log says where it was.
        faulthandler.enable()
    options = parser().parse_args(given)
    try:
        if options.discover:
            return _discover()
        return _supervise(options)
    except DaosupError as error:
        mistakes = error.mistakes if isinstance(error, ConfigError) else [str(error)]
        if isinstance(error, ConfigError):
            _tell("configuration-wrong", {"mistake": "; ".join(mistakes)}, mistakes)
        else:
            _tell("supervisor-cannot-serve", {"reason": str(error)}, mistakes)
        _tell_service_manager(error, mistakes)
        return error.exit_code
    finally:
        _close_log()


def _tell(name: str, fields: dict[str, object], lines: list[str]) -> None:
    """Say why we end: to systemd's journal as a notice, else in plain lines."""
    from daosup import log
    from daosup.core.notices import BY_NAME

    if log.is_stderr_the_journal():
        log.setup("info")
        log.get("daosup.daosupd").notice(BY_NAME[name], **fields)
    else:
        for line in lines:
            print(f"daosupd: {line}", file=sys.stderr)


def _close_log() -> None:
    """What the log has counted is told; nothing if there is none."""
    if "daosup.log" in sys.modules:
        from daosup import log

        log.close()


def _tell_service_manager(error: DaosupError, mistakes: list[str]) -> None:
    """Let the service manager show why we end."""
    import errno

    from daosup.adapters.systemd import Systemd
    from daosup.errors import ConfigError

    cause = error.__cause__
    number = cause.errno if isinstance(cause, OSError) and cause.errno else None
    usual = errno.EINVAL if isinstance(error, ConfigError) else errno.EBUSY
    more = f" (and {len(mistakes) - 1} more, see its log)" if len(mistakes) > 1 else ""
    Systemd().failed(f"failed: {mistakes[0]}{more}", number or usual)


def _offers(words: list[str]) -> Any:
    """What a shell offers in place of the last of ``words``."""
    from daosup.completing import Line, configured_instances, files, next_words, options_of

    *before, typed = words
    options = options_of(parser())
    kinds = {"FILE": files, "INSTANCE": configured_instances}
    return next_words(Line(before, options), typed or "-", options, kinds)


def parser() -> argparse.ArgumentParser:
    """The command line; every option with its help."""
    import argparse
    from pathlib import Path

    from daosup import __version__

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> Any:
            self.exit(64, f"{self.format_usage()}daosupd: {message}\n")

    parser = Parser(
        prog="daosupd",
        description="Publish this host's DAO segments and mirror those of others.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"daosupd {__version__}")
    parser.add_argument(
        "--instance", metavar="INSTANCE", default="default", help="which configuration: /etc/daosup/INSTANCE.toml"
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="read this file instead")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="override one key")
    parser.add_argument("--redis-host", metavar="HOST", help="host of the Redis server (default: localhost)")
    parser.add_argument("--redis-port", metavar="PORT", type=int, help="its port (default: 6379)")
    parser.add_argument("--role", choices=("master", "minion"), help="role of this host (default: found out)")
    parser.add_argument("--takeover", action="store_true", help="with role master: become it although another host is")
    parser.add_argument(
        "--heartbeat-interval", metavar="S", type=float, help="seconds between heartbeats (default: 30)"
    )
    parser.add_argument("--base-pub-port", metavar="PORT", type=int, help="first port to publish on (default: 5560)")
    parser.add_argument("--discover", action="store_true", help="list Redis servers on the local networks, and exit")
    parser.add_argument(
        "--after-stop",
        action="store_true",
        help="for systemd's ExecStopPost: end what a stop left, unless $SERVICE_RESULT tells of a crash; and exit",
    )
    parser.add_argument(
        "--give-access",
        metavar="USER",
        help="for daosup-access@.service: as root, let USER at segments and semaphores that other users make",
    )
    parser.add_argument("--end-with-stdin", action="store_true", help="stop when standard input ends")
    return parser


def _discover() -> int:
    from daosup.adapters.redis_discovery import discover_redis

    found = discover_redis()
    print(f"Found {len(found)} Redis instance(s){':' if found else '.'}")
    for each in found:
        tag = "[dao]" if each["dao"] else "     "
        print(f"  {each['host']}:{each['port']} {tag} machines: {', '.join(each['machines']) or '—'}")
    return 0


def _overrides(options: argparse.Namespace) -> dict[str, object]:
    from daosup.errors import UsageError

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    overrides: dict[str, object] = {
        "redis.host": options.redis_host,
        "redis.port": options.redis_port,
        "role": options.role,
        "heartbeat_interval_s": options.heartbeat_interval,
        "network.base_pub_port": options.base_pub_port,
    }
    for text in options.set:
        key, equals, value = text.partition("=")
        try:
            if not equals:
                raise ValueError("no '='")
            overrides[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except ValueError as error:
            raise UsageError(
                f"--set {text}: not KEY=VALUE with the value as in TOML (text in quotes): {error}"
            ) from None
    return overrides


def _supervise(options: argparse.Namespace) -> int:
    import signal

    # An exception within an import becomes whatever the C code there makes of it; nothing is to be cleaned up yet.
    on_interrupt = signal.getsignal(signal.SIGINT)
    if on_interrupt is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    import asyncio
    import gc
    import os

    from daosup import log
    from daosup.adapters.redis_server import resolve
    from daosup.config import load
    from daosup.config.reader import ConfigReader
    from daosup.core.notices.running import SUPERVISOR_FAILED
    from daosup.core.types import Role
    from daosup.errors import DaosupError, UsageError
    from daosup.supervisor import Supervisor
    from daosup.supervisor.after_stop import end_workers
    from daosup.supervisor.reexec import Heritage, replace_process, take_heritage

    signal.signal(signal.SIGINT, on_interrupt)
    heritage = take_heritage()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    config_file: Optional[Path] = options.config
    instance = options.instance
    if config_file is not None and instance == "default":
        instance = config_file.stem
    overrides = _overrides(options)
    config = load(config_file, instance, overrides)
    # A file that was there and is gone must not turn into all defaults.
    reader = ConfigReader(config.file or config_file, instance, overrides)
    log.setup(config.log.level)
    if options.after_stop:
        end_workers(config, os.environ.get("SERVICE_RESULT", "success"))
        return 0
    if options.takeover and config.role is not Role.MASTER:
        raise UsageError("--takeover is for a host with role master: give --role master too, or leave it out")
    if options.give_access is not None:
        return _give_access(options.give_access, reader.read)
    address, server = resolve(config.redis, config.runtime_folder, heritage.redis)
    successor = None
    try:
        supervisor = Supervisor(
            config,
            address,
            reader,
            is_takeover=options.takeover,
            renewing=heritage.renewing,
        )
        # What was imported stays: to look through all of it for garbage would keep everybody waiting each time.
        gc.freeze()
        successor = asyncio.run(_run(supervisor, ends_with_stdin=options.end_with_stdin))
    except DaosupError:
        raise
    except Exception:
        log.get("daosup.daosupd").failure(SUPERVISOR_FAILED, host=config.host)
        return FAILED
    finally:
        if server is not None and successor is None:
            server.stop()
    if successor is not None:
        log.close()
        replace_process(Heritage(successor, server.inheritance if server is not None else None))
    return 0


def _give_access(user: str, read_config: Callable[[], Config]) -> int:
    import pwd

    from daosup.errors import ConfigError
    from daosup.supervisor.giving_access import AccessGiver

    try:
        uid = pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ConfigError(
            f"--give-access {user}: there is no such user; make it: systemd-sysusers daosup.conf"
        ) from None
    AccessGiver(read_config, uid).serve()
    return 0


async def _run(supervisor: Any, *, ends_with_stdin: bool) -> Any:
    if not ends_with_stdin:
        return await supervisor.run()
    import asyncio
    import os

    from daosup.core.events import StopAsked

    loop = asyncio.get_running_loop()

    def on_input() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            supervisor.post(StopAsked())

    return await supervisor.run(on_ready=lambda: loop.add_reader(0, on_input))


if __name__ == "__main__":
    sys.exit(main())
