"""The configuration: whether one is right and what it would change, and which one is in force.

Invariant: without a daemon a file is checked all the same; then it is only said that there is nothing to compare with.
"""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from daosup.config import CONFIG_FOLDER, load
from daosup.config.kinds import as_toml
from daosup.config.telling import told_keys
from daosup.ctl.asking import show, tell
from daosup.ctl.options import Options
from daosup.ctl.tables import GAP, Style, safe
from daosup.ctl.units import duration
from daosup.errors import ConfigError, DeniedError, NoAnswerError, UnavailableError, UnsupportedError, UsageError

ANSWER_S = 15.0
#: Where what is said of a value begins, if the value leaves room.
_REMARK_COLUMN = 40


def config(options: Options) -> int:
    """Check a configuration, or show one."""
    return _check(options) if options.name == "check" else _show(options)


def _check(options: Options) -> int:
    file = options.second
    arguments = {} if file is None else {"text": _text_of(Path(file)), "name": file}
    if not _is_daemon_missing(options):
        try:
            return show(options, "check_config", ANSWER_S, _check_lines, arguments, _exit_code)
        except (DeniedError, UnavailableError, UnsupportedError):
            if options.host is not None or options.all or file is None:
                raise
    path = Path(file) if file is not None else _usual_file(options)
    found: dict[str, Any] = {"daemon": None, "file": str(path), "mistakes": [], "changed": None, "needs_restart": None}
    try:
        load(path, _instance_of(options, path))
    except ConfigError as error:
        found["mistakes"] = error.mistakes
    tell(options, found, lambda style, width: _check_lines(found, style, width))
    return _exit_code(found)


def _show(options: Options) -> int:
    if options.second is None and not _is_daemon_missing(options):
        return show(options, "config", ANSWER_S, _config_lines)
    if options.host is not None or options.all:
        raise UsageError("a FILE is of this host: leave out -H and --all, or FILE")
    path = Path(options.second) if options.second is not None else _usual_file(options)
    keys = list(told_keys(load(path, _instance_of(options, path))))
    told = {"daemon": None, "file": str(path), "loaded_utc": None, "keys": keys, "needs_restart": []}
    tell(options, told, lambda style, width: _config_lines(told, style, width))
    return 0


# -- without a daemon


def _is_daemon_missing(options: Options) -> bool:
    """Whether there is none here that could be asked."""
    from daosup.adapters.control_find import connect, find_socket

    try:
        connect(find_socket(options.instance, options.socket), ANSWER_S).close()
    except (NoAnswerError, DeniedError):
        return False
    except UnavailableError:
        if options.host is not None or options.all:
            raise
        return True
    return False


def _usual_file(options: Options) -> Path:
    """The file of the instance that is meant."""
    if options.instance is not None:
        return CONFIG_FOLDER / f"{options.instance}.toml"
    found = sorted(CONFIG_FOLDER.glob("*.toml"))
    if len(found) != 1:
        named = ", ".join(path.stem for path in found) or f"none in {CONFIG_FOLDER}"
        raise UsageError(f"no daosupd runs here; give a FILE, or by --instance one of those configured: {named}")
    return found[0]


def _instance_of(options: Options, path: Path) -> str:
    return options.instance or path.stem


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; name a file that you may read") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


# -- what is told


def _exit_code(found: dict[str, Any]) -> int:
    return ConfigError.exit_code if found.get("mistakes") else 0


def _check_lines(found: dict[str, Any], style: Style, width: int | None) -> list[str]:
    file = safe(found.get("file") or "no file")
    if found.get("mistakes"):
        return [style(safe(mistake), "bad") for mistake in found["mistakes"]]
    lines = [f"{file} is {style('right', 'good')}" if found.get("file") else "there is no file; all is default"]
    if found.get("daemon") is None:
        return [*lines, "no daosupd answers here, so there is nothing to compare it with"]
    who = safe(found["daemon"].get("host"))
    for what, heading, colour in (
        ("changed", f"a reload changes on {who}:", "strong"),
        ("needs_restart", "only a restart changes:", "doubtful"),
    ):
        if found.get(what):
            lines += ["", style(heading, colour)]
            lines += [line for change in found[what] for line in _change_lines(change, style, width)]
    if not found.get("changed"):
        lines.insert(1, f"a reload changes nothing on {who}")
    return lines


def _change_lines(change: dict[str, Any], style: Style, width: int | None) -> list[str]:
    key, before, after = safe(change.get("key")), change.get("before"), change.get("after")
    origin = _short(change.get("origin")) or "default"
    if isinstance(before, list) and isinstance(after, list) and any(isinstance(each, dict) for each in before + after):
        lines = [_remarked(f"  [[{key}]]: {len(before)} before, {len(after)} after", origin, style, width)]
        lines += [style(f"    - {_value(each)}", "bad") for each in before if each not in after]
        lines += [style(f"    + {_value(each)}", "good") for each in after if each not in before]
        return lines
    if before == after:
        return [_remarked(f"  {key}: {_value(after)}, in what is hidden", origin, style, width)]
    return [_remarked(f"  {key}: {_value(before)} -> {_value(after)}", origin, style, width)]


def _config_lines(told: dict[str, Any], style: Style, width: int | None) -> list[str]:
    """As a file that would be read as the same; what has its default is a comment in it."""
    daemon = told.get("daemon")
    file = safe(told.get("file") or "no file, all is default")
    if daemon is None:
        lines = [f"# {file}; no daosupd was asked"]
    else:
        lines = [f"# {safe(daemon.get('host'))}: daosupd {safe(daemon.get('version'))}, pid {daemon.get('pid')}"]
        lines.append(f"# {file}, read {duration(_age_s(told.get('loaded_utc')))} ago")
    table = ""
    for each in told.get("keys", ()):
        heading, _, name = safe(each.get("key")).rpartition(".")
        if heading != table:
            table = heading
            lines += [
                "",
                style(f"[[{heading.partition('[')[0]}]]" if heading.endswith("]") else f"[{heading}]", "strong"),
            ]
        lines.append(_key_line(each, name, each.get("key") in told.get("needs_restart", ()), style, width))
    return lines


def _key_line(each: dict[str, Any], name: str, is_waiting: bool, style: Style, width: int | None) -> str:
    origin, value = each.get("origin"), each.get("value")
    remark = _short(origin) or ("default" if value is not None else "not set")
    if is_waiting:
        remark += "; another value waits for a restart"
    text = f"{name} = {_value(value)}" if value is not None else name
    if origin is None:
        text = f"#{text}"
    line = f"{text:<{_REMARK_COLUMN - len(GAP)}}{GAP}# {remark}"
    if width is not None and len(line) > width:
        line = f"# {remark}\n{text}"
    return style(line, "faint") if origin is None else line


def _remarked(text: str, remark: str, style: Style, width: int | None) -> str:
    """A line with a remark behind it, or below it where it would not fit."""
    line = f"{text:<{_REMARK_COLUMN - len(GAP)}}{GAP}"
    if width is not None and len(line) + len(remark) > width:
        return f"{text}\n      {style(remark, 'faint')}"
    return line + style(remark, "faint")


def _age_s(stamp: object) -> float | None:
    """How long ago a time was that is told as ISO 8601, seconds; None if it is none."""
    try:
        return max(0.0, (datetime.now(timezone.utc) - datetime.fromisoformat(str(stamp))).total_seconds())
    except (TypeError, ValueError):
        return None


def _short(origin: object) -> str:
    """Where a value was set: of a file only its name, for the folder is told already."""
    return safe(origin).rpartition("/")[2] if origin else ""


def _value(value: object) -> str:
    if value is None:
        return "not set"
    if isinstance(value, dict):
        return ", ".join(f"{safe(name)} = {_value(inner)}" for name, inner in value.items())
    return safe(as_toml(value))
