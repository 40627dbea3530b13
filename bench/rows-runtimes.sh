#!/bin/bash
# Rows of the bench `runtimes` from the figures of both sides: rows-runtimes.sh DIRECTORY, with the files ours, systemd and raw in
# it, lines of `SIZE NAME VALUE`.
# SPDX-License-Identifier: LGPL-2.1-or-later
set -eu

DIR=$1
SYSTEMD='systemd 257 as PID 1'

# value FILE SIZE NAME
value() {
        awk -v size="$2" -v name="$3" '$1 == size && $2 == name { print $NF; exit }' "$DIR/$1"
}

# sizes NAME: for which there are figures
sizes() {
        awk -v name="$1" '$2 == name { print $1 }' "$DIR/ours"
}

# row CASE SIZE UNIT OURS REFERENCE REFERENCE-NAME
row() {
        [ -n "$4" ] && [ -n "$5" ] || return 0
        awk -v case="$1" -v size="$2" -v unit="$3" -v ours="$4" -v reference="$5" -v name="$6" 'BEGIN {
                printf "{\"bench\": \"runtimes\", \"case\": \"%s\", \"size\": \"%s\", \"ours\": %s, ", case, size, ours
                printf "\"reference\": %s, \"reference_name\": \"%s\", ", reference, name
                printf "\"ratio\": %s, \"unit\": \"%s\"}\n", (reference == 0 ? "null" : sprintf("%.3f", ours / reference)), unit }'
}

# against CASE NAME WHAT-IS-COUNTED UNIT: the same figure of both, at each size
against() {
        local size
        for size in $(sizes "$2"); do
                row "$1" "$size${3:+ $3}" "$4" "$(value ours "$size" "$2")" "$(value systemd "$size" "$2")" "$SYSTEMD"
        done
}

against "StartTransientUnit to JobRemoved" start scopes µs
against "StopUnit to JobRemoved" stop scopes µs
against "StopUnit at once after the start" at_once_stop scopes µs
against "CPU per start and stop" cpu scopes µs
against "CPU per start and stop, scopes that last" cpu_lasting scopes µs
against "private memory per scope" per_scope scopes bytes
against "of it kept after the end" kept_per_scope scopes bytes
against "so many starts and stops by 100 clients" round3_ms '' ms
against "AttachProcessesToUnit" attach processes µs
against "crun run true, systemd manager" run1 '' µs
against "Ping" ping '' µs
against "Get of Manager.Version" get '' µs
against "system calls per start and stop" syscalls '' calls
against "bus messages per start and stop" messages '' messages
for size in $(sizes start); do
        [ "$size" -eq 0 ] || row "StartTransientUnit to JobRemoved" "$size scopes" µs "$(value ours "$size" start)" \
                "$(value ours 0 start)" "ours beside 0 scopes"
done
for size in $(sizes attach); do
        row AttachProcessesToUnit "$size processes" µs "$(value ours "$size" attach)" "$(value raw "$size" raw)" \
                "bare writes of cgroup.procs"
done
for figure in "round10_fds open fds" "round10_anonymous private bytes"; do
        name=${figure%% *}
        row "${figure#* } after ten rounds of so many" 200 '' "$(value ours 200 "$name")" "$(value ours 200 "${name/10/1}")" \
                "ours after the first round"
done
row "crun run true, systemd manager" 1 µs "$(value ours 1 run1)" "$(value ours 1 run2)" "crun's cgroupfs manager"
row "the same, mounted with favordynmods" 1 µs "$(value ours 1 favor1)" "$(value ours 1 favor2)" "crun's cgroupfs manager"
row "Get of Manager.Version" 1 µs "$(value ours 1 get)" "$(value ours 1 echo)" "a bare sd-bus service on the same bus"

# What one start and one stop are made of, the most frequent of systemd's first; what is rarer than once in two cycles is left out.
awk '$2 == "syscall" || $2 == "message" { key = $2 " " $3; if (FILENAME ~ /ours$/) ours[key] = $4; else theirs[key] = $4; all[key] }
        END { for (key in all) if (ours[key] >= 0.5 || theirs[key] >= 0.5) printf "%s %.1f %.1f\n", key, ours[key], theirs[key] }' \
        "$DIR/ours" "$DIR/systemd" | sort -k1,1 -k4,4nr -k3,3nr |
        while read -r kind name ours theirs; do row "$kind $name" 1 '' "$ours" "$theirs" "systemd 257 as PID 1, one by one"; done
