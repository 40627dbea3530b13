# Scopes and slices with busctl alone, on a kernel with all controllers: start, exists, errors, every limit's file, stop by force,
# OOM, OOM policy, a restart under load, and nonsense.
# timeout: 240
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

SD1="org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager"

manager() {
        # shellcheck disable=SC2086 # three words
        busctl --system -- call $SD1 "$@"
}

# start NAME PID N [PROPERTY TYPE VALUE…]…: N properties beside the process
start() {
        _name=$1 _pid=$2 _n=$3
        shift 3
        manager StartTransientUnit 'ssa(sv)a(sa(sv))' "$_name" fail $((_n + 1)) PIDs au 1 "$_pid" "$@" 0
}

# The monitor is a connection that called nothing but AddMatch.
removed() {
        tr -d '\n' <"$TMPDIR/monitor" | grep -q "member=JobRemoved[^=]*object path \"[^\"]*/${1##*/}\" *string \"$2\" *string \"$3\""
}

# job WORDS UNIT [RESULT]: the answer of a call names a job; its signal comes
job() {
        _job=$(echo "$1" | tr -d '"')
        wait_for 30 removed "$_job" "$2" "${3:-done}"
}

state() {
        manager ListUnitsByPatterns asas 0 1 "$1" | awk -F'"' '{ print $8, $10 }'
}

state_is() {
        [ "$(state "$1")" = "$2" ]
}

gone() {
        ! manager GetUnit s "$1" >/dev/null
}

sleeper() {
        sleep 1000 &
        PID=$!
}

refused() {
        _want=$1
        shift
        assert_fails "$@"
        assert_in "$ERR" "$_want" "error of $*"
}

in_file() {
        assert_eq "$(cg_read "$1" "$2")" "$3" "$1/$2"
}

printf '[Runtime]\nSystemd1=yes\nScopeLinger=1h\n' >"$TMPDIR/conf"
start_daemon --config="$TMPDIR/conf"
wait_for 10 bus_has org.freedesktop.systemd1
dbus-monitor --system "type='signal',interface='org.freedesktop.systemd1.Manager'" >"$TMPDIR/monitor" 2>&1 &
wait_for 20 grep -q NameAcquired "$TMPDIR/monitor"

note "a scope with limits"
sleeper
P=$PID
JOB=$(start x.scope "$P" 5 Slice s a-b.slice Delegate b true MemoryMax t 104857600 TasksMax t 100 \
        CPUQuotaPerSecUSec t 1500000)
job "$JOB" x.scope
assert_eq "$(cg_of "$P")" /a.slice/a-b.slice/x.scope
X=/a.slice/a-b.slice/x.scope
in_file $X memory.max 104857600
in_file $X pids.max 100
in_file $X cpu.max "150000 100000"
for g in / /a.slice /a.slice/a-b.slice; do
        for c in cpu cpuset io memory pids; do
                assert_in " $(cg_read "$g" cgroup.subtree_control) " " $c " "controllers of $g"
        done
done
assert_eq "$(cg_read $X cgroup.subtree_control)" "" "controllers that are the scope's own affair"
refused "already loaded" start x.scope "$P" 0
refused "Cannot set property Foo, or unknown property." start y.scope "$P" 1 Foo s x
refused "out of range" start y.scope "$P" 1 TasksMax t 0
sleep 0 &
D=$!
wait $D
refused "Process with ID $D does not exist." start y.scope $D 0
gone y.scope || fail "a refused start left its unit"
! cg_exists /system.slice/y.scope || fail "a refused start left its group"

note "limits of a living scope"
manager SetUnitProperties 'sba(sv)' x.scope true 0
while read -r property type value file text; do
        manager SetUnitProperties 'sba(sv)' x.scope true 1 "$property" "$type" "$value"
        in_file $X "$file" "$text"
done <<'ROWS'
CPUWeight t 50 cpu.weight 50
CPUQuotaPerSecUSec t 18446744073709551615 cpu.max max 100000
CPUQuotaPerSecUSec t 500000 cpu.max 50000 100000
MemoryMin t 4096 memory.min 4096
MemoryLow t 8192 memory.low 8192
MemoryHigh t 52428800 memory.high 52428800
MemoryMax t 18446744073709551615 memory.max max
MemorySwapMax t 0 memory.swap.max 0
TasksMax t 18446744073709551615 pids.max max
ROWS
manager SetUnitProperties 'sba(sv)' x.scope true 1 AllowedCPUs ay 1 1
in_file $X cpuset.cpus 0
refused "out of range" manager SetUnitProperties 'sba(sv)' x.scope true 1 TasksMax t 0
echo 77 >"$CG$X/pids.max"
manager SetUnitProperties 'sba(sv)' x.scope true 1 MemoryMax t 104857600
in_file $X pids.max 77

note "its end: the directory stays for those who read memory.events, the name is free"
kill "$P"
wait_for 20 gone x.scope
cg_exists $X || fail "no directory for readers of memory.events"
sleeper
job "$(start x.scope "$PID" 1 Slice s a-b.slice)" x.scope
assert_eq "$(cg_of "$PID")" $X
job "$(manager StopUnit ss x.scope replace)" x.scope
! cg_exists $X || fail "the group is there after the stop"
refused "not loaded" manager StopUnit ss x.scope replace

note "who does not listen to SIGTERM"
sh -c 'trap "" TERM; echo up >"$0"; while :; do sleep 1; done' "$TMPDIR/up" &
P=$!
wait_for 10 grep -q up "$TMPDIR/up"
job "$(start deaf.scope $P 1 TimeoutStopUSec t 1000000)" deaf.scope
job "$(manager StopUnit ss deaf.scope replace)" deaf.scope
[ ! -d /proc/$P ] || grep -q 'State:.Z' /proc/$P/status || fail "it lives"
assert_eq "$(state deaf.scope)" "failed failed"
manager ResetFailedUnit s deaf.scope
gone deaf.scope || fail "it is there after ResetFailedUnit"

note "out of memory: with OOMPolicy=stop the scope fails, with Delegate it does not"
mkfifo "$TMPDIR/fifo"
for delegate in false true; do
        sh -c 'read -r go <"$0"; exec python3 -c "bytearray(200 << 20)"' "$TMPDIR/fifo" &
        P=$!
        job "$(start oom.scope $P 4 MemoryMax t 20971520 MemorySwapMax t 0 Delegate b $delegate \
                Slice s oom.slice)" oom.scope
        echo go >"$TMPDIR/fifo"
        if [ $delegate = false ]; then
                wait_for 60 state_is oom.scope "failed failed"
                manager ResetFailedUnit s oom.scope
        else
                wait_for 60 gone oom.scope
                assert_ge "$(cg_key /oom.slice/oom.scope memory.events oom_kill)" 1 "kills of the dead scope"
        fi
done
job "$(manager StopUnit ss oom.slice replace)" oom.slice
! cg_exists /oom.slice || fail "the slice is there after the stop, with a dead scope in it"

note "slices, as a kubelet and podman use them"
job "$(manager StartTransientUnit 'ssa(sv)a(sa(sv))' pod-one.slice replace 3 Wants as 1 pod.slice \
        MemoryAccounting b true MemoryMax t 209715200 0)" pod-one.slice
in_file /pod.slice/pod-one.slice memory.max 209715200
refused "already loaded" manager StartTransientUnit 'ssa(sv)a(sa(sv))' pod-one.slice replace 0 0
manager SetUnitProperties 'sba(sv)' pod-one.slice true 1 TasksMax t 50
in_file /pod.slice/pod-one.slice pids.max 50
sleeper
job "$(start c.scope $PID 1 Slice s pod-one.slice)" c.scope
job "$(manager StopUnit ss pod-one.slice replace)" pod-one.slice
gone c.scope || fail "the scope outlived its slice"
! cg_exists /pod.slice/pod-one.slice || fail "the slice's group is there after the stop"

note "the daemon is killed while a stop waits; scopes are there again"
sleeper
P=$PID
job "$(start kept.scope $P 2 Description s 'two words' MemoryMax t 104857600)" kept.scope
sh -c 'trap "" TERM; echo up >"$0"; while :; do sleep 1; done' "$TMPDIR/up2" &
Q=$!
wait_for 10 grep -q up "$TMPDIR/up2"
job "$(start slow.scope $Q 0)" slow.scope
JOB=$(manager StopUnit ss slow.scope replace)
stop_daemon KILL
start_daemon --config="$TMPDIR/conf"
wait_for 10 bus_has org.freedesktop.systemd1
job "$JOB" slow.scope canceled
assert_eq "$(state kept.scope)" "active running"
in_file /system.slice/kept.scope memory.max 104857600
busctl --system get-property org.freedesktop.systemd1 /org/freedesktop/systemd1/unit/kept_2escope \
        org.freedesktop.systemd1.Unit Description >"$TMPDIR/description"
assert_in "$(cat "$TMPDIR/description")" "two words"
job "$(manager StopUnit ss kept.scope replace)" kept.scope
kill -9 $Q
wait_for 20 gone slow.scope

note "nonsense"
dbus-monitor --system "type='signal',sender='org.freedesktop.systemd1'" >"$TMPDIR/other" 2>&1 &
OTHER=$!
for call in 'StartTransientUnit' 'StartTransientUnit s x' 'StopUnit' 'StopUnit ss ../x.scope replace' \
        'StopUnit ss x.scope now' 'SetUnitProperties s x.scope' 'KillUnit ssi x.scope all 9999' 'GetJob u 4294967295' \
        'CancelJob u 0' 'AttachProcessesToUnit ssau x.scope .. 0' 'NoSuchMethod' 'RefUnit s x.scope' \
        'FreezeUnit s -.slice' 'GetUnitByPID u 4194300' 'StartTransientUnit ssa(sv)a(sa(sv)) x.scope fail 1 PIDs s no 0'; do
        # shellcheck disable=SC2086 # words
        assert_fails manager $call
done
[ -d /proc/$OTHER ] || fail "another client was disconnected"
sleeper
job "$(start last.scope $PID 0)" last.scope
job "$(manager StopUnit ss last.scope replace)" last.scope
[ -d "/proc/$DAEMON" ] || fail "the daemon ended"
