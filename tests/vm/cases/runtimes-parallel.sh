# Many `crun run` and `runc run` at once, several rounds: none fails or hangs, each job ends with one signal, and no unit, group,
# descriptor or memory of the daemon is left behind. More by --env N=200 --env ROUNDS=10.
# timeout: 400
# kernels: 7.2
# mem: 3072
# suites: trixie
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/suites.sh"
. "$TESTS/containers.sh"

# runs RUNTIME N: in the suite, all at once; each leaves its exit code and what it printed in a file.
runs() {
        bundle "$TMPDIR/b" 'echo done' "$1-par.slice:$1:ID"
        rm -rf "$TMPDIR/par"
        mkdir "$TMPDIR/par"
        for _i in $(seq 1 "$2"); do
                mkdir "$TMPDIR/par/$_i"
                sed "s/:ID\"/:par$_i\"/" "$TMPDIR/b/config.json" >"$TMPDIR/par/$_i/config.json"
        done
        SUITE_TIMEOUT=300 in_suite "$SUITE" sh -c '
                cd "$3"
                for i in $(seq 1 "$2"); do
                        { rc=0; "$1" --systemd-cgroup run -b "$3/$i" "par$i" >"$i/out" 2>&1 || rc=$?; echo "rc $rc" >>"$i/out"; } &
                done
                wait' sh "$1" "$2" "$TMPDIR/par" || fail "$1: not all of $2 ended"
        for _i in $(seq 1 "$2"); do
                assert_eq "$(tr '\n' ' ' <"$TMPDIR/par/$_i/out")" "done rc 0 " "$1 number $_i of $2"
        done
}

# Each job that began has ended, once.
check_signals() {
        grep -o '/org/freedesktop/systemd1/job/[0-9]*' "$TMPDIR/jobs" | sort | uniq -c >"$TMPDIR/counted"
        assert_ge "$(wc -l <"$TMPDIR/counted")" "$1" "jobs that ended"
        assert_eq "$(awk '$1 != 1' "$TMPDIR/counted")" "" "jobs that ended more than once"
}

start_face 'ScopeLinger=2s'
SUITE=trixie
suite_enter $SUITE
dbus-monitor --system "type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'" >"$TMPDIR/jobs" 2>&1 &
wait_for 20 grep -q NameAcquired "$TMPDIR/jobs"
total=0
for plan in "crun ${N:-30}" "runc ${N:-10}"; do
        # shellcheck disable=SC2086 # two words
        set -- $plan
        runs "$1" "$2" # the first round warms up
        nothing_left "$1-par*.scope" "/$1.slice/$1-par.slice/$1-par1.scope"
        fds=$(daemon_fds) anon=$(daemon_anon)
        for round in $(seq 2 "${ROUNDS:-3}"); do
                runs "$1" "$2"
                nothing_left "$1-par*.scope" "/$1.slice/$1-par.slice/$1-par1.scope"
                note "$1, round $round: $2 at once; the daemon has $(daemon_fds) descriptors, $(daemon_anon) kB"
        done
        total=$((total + ${ROUNDS:-3} * $2))
        assert_eq "$(find "$CG" -name "$1-par*.scope")" "" "groups left"
        wait_for 20 sh -c "[ \$(find /proc/$DAEMON/fd -type l | wc -l) -le $fds ]"
        # more than 128 runc at once meet on the private socket, where each has buffers in the daemon while it is there
        assert_le "$(daemon_anon)" $((anon + 256 + 8 * $2)) "kB of the daemon after all rounds"
        check_signals $total
done
