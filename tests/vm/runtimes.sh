# Verbs of the benches of org.freedesktop.systemd1, for guests and for this host's namespaces: what a container runtime waits for,
# and what it costs the daemon. Figures are lines `SIZE NAME VALUE`. Wants $PROGRAM (bench-runtimes).
# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=sh

# How much: numbers of scopes that exist already, of processes to attach; how often.
SIZES=${BENCH_SIZES:-0 500 2000} PIDS=${BENCH_PIDS:-100 1000} N=${BENCH_N:-160} REPEAT=${BENCH_REPEAT:-21}

# The bare service that is asked for comparison must be let through by the bus.
allow_echo() {
        cat >/etc/dbus-1/system.d/bench-runtimes.conf <<'CONF'
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><policy context="default"><allow send_interface="org.chargehand.Bench"/></policy></busconfig>
CONF
        busctl --system call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus ReloadConfig
}

# measure_memory N: only in a fresh daemon; what a first round gave back to it and not to the kernel would count as nothing in a second
measure_memory() {
        "$PROGRAM" memory "$1" | sed "s/^/$1 /"
}

measure_runtimes() {
        for _n in $SIZES; do "$PROGRAM" units "$_n" "$N" | sed "s/^/$_n /"; done
        for _n in $PIDS; do "$PROGRAM" attach "$_n" "$REPEAT" | sed "s/^/$_n /"; done
        allow_echo
        "$PROGRAM" call $((N * 20)) | sed 's/^/1 /'
        "$PROGRAM" storm "${BENCH_ROUNDS:-10}" 200 100 | sed 's/^/200 /'
        ! command -v strace >/dev/null || "$PROGRAM" count $((N / 4)) | sed 's/^/1 /'
}

# measure_raw DIRECTORY: the floor of attach, in two groups below the directory
measure_raw() {
        mkdir -p "$1/0" "$1/1"
        for _n in $PIDS; do "$PROGRAM" raw "$_n" "$REPEAT" "$1" | sed "s/^/$_n /"; done
        rmdir "$1/0" "$1/1" "$1"
}

# measure_crun [PREFIX…]: a container that does nothing, by both of crun's managers in turns; in the bundle's directory
measure_crun() {
        "$@" "$PROGRAM" run "$N" crun --cgroup-manager=systemd run s@ --- crun --cgroup-manager=cgroupfs run c@ | sed 's/^/1 /'
}
