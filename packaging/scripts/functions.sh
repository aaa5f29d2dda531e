# Shared by the scripts of .deb and .rpm; the build puts it into each of them, so that none needs a file that a broken
# installation may lack. Everything here may be done again, and works without a running systemd (chroot, container).

daosup_home=/usr/lib/daosup

is_systemd_running() { [ -d /run/systemd/system ]; }

# The units of a template that run or are about to, one a line.
running() {
    systemctl list-units --all --plain --full --no-legend --no-pager "$1@*.service" 2>/dev/null |
        while read -r unit _ active _; do
            case $active in active | activating | reloading) echo "$unit" ;; esac
        done
}

make_user_and_folders() {
    if ! command -v systemd-sysusers >/dev/null || ! systemd-sysusers /usr/lib/sysusers.d/daosup.conf; then
        getent passwd dao >/dev/null || useradd --system --user-group --comment daosup --home-dir /var/lib/daosup \
            --no-create-home --shell /usr/sbin/nologin dao
    fi
    if command -v systemd-tmpfiles >/dev/null; then
        systemd-tmpfiles --create /usr/lib/tmpfiles.d/daosup.conf || :
    fi
    update_catalog
}

update_catalog() {
    if command -v journalctl >/dev/null; then journalctl --update-catalog 2>/dev/null || :; fi
}

reload_units() {
    if is_systemd_running; then systemctl daemon-reload || :; fi
}

# The environment that the launchers pick; nothing if there is no Python for one.
picked_home() {
    for minor in @MINORS@; do
        if [ -x "$daosup_home/python3.$minor/bin/python3" ]; then
            echo "$daosup_home/python3.$minor"
            return
        fi
    done
}

# Without it every start would compile all it imports anew. It bears a hash of its source and not a date: dates of
# packaged files say nothing. Installation goes on if this fails.
compile_bytecode() {
    picked=$(picked_home)
    if [ -z "$picked" ] || [ -d "$(echo "$picked"/lib/python3.*/site-packages/daosup/__pycache__)" ]; then return; fi
    # -j 0, a process for each processor, needs /dev/shm.
    for processes in 0 1; do
        "$picked/bin/python3" -I -W ignore -m compileall -q -j "$processes" --invalidation-mode checked-hash \
            "$picked/lib" 2>/dev/null && return
    done
    echo "daosup: $picked/bin/python3 could not compile its libraries; it works, but starts slowly" >&2
}

remove_bytecode() {
    if [ -d "$daosup_home" ]; then find "$daosup_home" -depth -type d -name __pycache__ -exec rm -rf {} +; fi
}

# Running instances go over to the installed version, with their streams going on; others are not started.
renew_instances() {
    is_systemd_running || return 0
    running daoserver | while read -r unit; do
        instance=${unit#daoserver@}
        # One that waits to be started again, or still begins, is of the new version next.
        if ! systemctl --quiet is-active "$unit" ||
            ! timeout 90 /usr/bin/daosupctl --instance "${instance%.service}" reexec >/dev/null </dev/null; then
            echo "daosup: restarting $unit" >&2
            systemctl try-restart --no-block "$unit" </dev/null || :
        fi
    done
    running daosup-access | while read -r unit; do systemctl try-restart "$unit" </dev/null || :; done
}

# Instances whose Python was removed from under them cannot start workers any more: they get one that is there.
restart_without_python() {
    is_systemd_running || return 0
    for template in daoserver daosup-access; do
        running "$template" | while read -r unit; do
            python=$(readlink "/proc/$(systemctl show --property MainPID --value "$unit")/exe") || continue
            case $python in
                *" (deleted)") [ -e "${python% (deleted)}" ] || systemctl try-restart "$unit" </dev/null || : ;;
            esac
        done
    done
}

# All instances, also those that wait to be started again: an '@' unit that is left running has no files any more.
stop_instances() {
    is_systemd_running || return 0
    systemctl stop 'daoserver@*.service' 'daosup-access@*.service' || :
}

# What `systemctl enable` made; not drop-ins and masks, which are somebody's own.
disable_instances() {
    for unit in /etc/systemd/system/*.wants/daoserver@*.service /etc/systemd/system/*.requires/daoserver@*.service; do
        if [ -L "$unit" ]; then rm -f "$unit"; fi
    done
}

# After the package's files are gone.
forget_units() {
    disable_instances
    rm -rf "$daosup_home"
    update_catalog
    reload_units
    if is_systemd_running; then
        systemctl reset-failed 'daoserver@*.service' 'daosup-access@*.service' 2>/dev/null || :
        systemctl stop daosup.slice 2>/dev/null || :
    fi
}
