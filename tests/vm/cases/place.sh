# Groups chosen by charge, on the kernel:
#
#     /pool ─┬─ a  128 MiB, 32 in use     a process tree of 48 MiB comes from /from: by itself to the one with the most room; to
#            ├─ b  128 MiB, empty         the group of its sharers where they are to be kept together; programs that run at the same
#            └─ c  128 MiB, 64 in use     time never get the same room; what no group can hold changes nothing
#
# timeout: 240
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"
. "$TESTS/daemon.sh"

MIB=1048576

# json FILE EXPRESSION: over the object o
json() {
        python3 -c 'import json, sys
o = json.load(open(sys.argv[1]))
print(eval(sys.argv[2]))' "$1" "$2"
}

has_line() {
        grep -q "$2" "$1"
}

# hold GROUP MIB: small pages, so that they stay where they are
hold() {
        rm -f "$TMPDIR/ready.$2"
        cg_run "$1" prog-memory "$TMPDIR/ready.$2" anon "$2" 0 0
        wait_for 60 has_line "$TMPDIR/ready.$2" touched
}

claims() {
        chargectl claims --json | python3 -c 'import json, sys; print(" ".join("%s=%d" % (c["group"], c["bytes"] >> 20) for c in json.load(sys.stdin)))'
}

no_claims() {
        [ -z "$(claims)" ]
}

mkdir -p /etc/chargehand/chargehand.conf.d
cat >/etc/chargehand/chargehand.conf.d/place.conf <<'X'
[Pool pool]
Groups=/pool/*
X
trap 'rm -f /etc/chargehand/chargehand.conf.d/place.conf; echo always >$THP' EXIT
start_daemon
for g in a b c; do
        chargectl create /pool/$g --parents MemoryMax=128M MemorySwapMax=0
done
chargectl create /from
hold /pool/a 32
hold /pool/c 64

note "dry: the table says why, and nothing changes"
start_writer /from huge 48
WRITER=$PID
chargectl pools
chargectl place "$WRITER" --tree --pool=pool --dry-run
chargectl place "$WRITER" --tree --pool=pool --dry-run --json >"$TMPDIR/dry"
assert_eq "$(json "$TMPDIR/dry" 'o["chosen"]')" /pool/b
assert_eq "$(json "$TMPDIR/dry" '[c["group"] for c in o["candidates"]]')" "['/pool/b', '/pool/a', '/pool/c']"
assert_ge "$(json "$TMPDIR/dry" 'o["candidates"][0]["needed_bytes"]')" $((48 * MIB)) "bytes needed"
assert_eq "$(cg_of "$WRITER")" /from
assert_eq "$(claims)" ""

note "a process tree goes to the best of three, and its memory is charged there"
# slow enough that the claim can be seen on its way: once, and as the job's
chargectl place "$WRITER" --tree --pool=pool --rate=16M --json >"$TMPDIR/placed" &
PLACING=$!
kinds() {
        chargectl claims --json | python3 -c 'import json, sys; print(" ".join(c["kind"] + c["group"] for c in json.load(sys.stdin)))'
}
is_the_jobs() {
        [ "$(kinds)" = job/pool/b ]
}
wait_for 60 is_the_jobs
wait $PLACING
assert_eq "$(json "$TMPDIR/placed" 'o["chosen"]')" /pool/b
assert_eq "$(json "$TMPDIR/placed" 'o["result"]["state"]')" finished
assert_eq "$(cg_of "$WRITER")" /pool/b
soon stat_ge /pool/b anon $((46 * MIB)) "what the writer brought"
soon stat_le /from anon $((4 * MIB)) "what it left"
check_writer
wait_for 20 no_claims
emit placed_bytes "$(json "$TMPDIR/placed" 'o["result"]["moved_bytes"]')"

note "what it uses now counts: the next best is another"
chargectl place --bytes=32M --pool=pool --dry-run --json >"$TMPDIR/dry"
assert_eq "$(json "$TMPDIR/dry" 'o["chosen"]')" /pool/a

note "who shares memory is kept together, though others have more room"
cg_run /pool/c prog-memory "$TMPDIR/shared" memfd 16
wait_for 60 has_line "$TMPDIR/shared" child
SHARER=$(pgrep -P "$PID")
cg_move /from "$SHARER"
chargectl place "$SHARER" --pool=pool --placement=affinity --dry-run
chargectl place "$SHARER" --pool=pool --placement=affinity --json >"$TMPDIR/placed"
assert_eq "$(json "$TMPDIR/placed" 'o["chosen"]')" /pool/c
assert_eq "$(cg_of "$SHARER")" /pool/c
# but for some pages of libraries, which are everybody's
assert_le "$(json "$TMPDIR/placed" 'o["candidates"][0]["shared_apart_bytes"]')" $MIB "bytes shared with other groups"
assert_ge "$(json "$TMPDIR/placed" '[c["shared_apart_bytes"] for c in o["candidates"] if c["group"] == "/pool/a"][0]')" \
        $((15 * MIB)) "what would be shared across groups from /pool/a"
kill -KILL "$PID"
wait_for 20 is_gone "$SHARER"

note "so is who has the address space of another"
cg_run /pool/c prog-memory "$TMPDIR/vm" clone-vm 8
wait_for 60 test -s "$TMPDIR/vm"
SHARER=$(cat "$TMPDIR/vm")
cg_move /from "$SHARER"
chargectl place "$SHARER" --pool=pool --placement=affinity --json >"$TMPDIR/placed"
assert_eq "$(json "$TMPDIR/placed" 'o["chosen"]')" /pool/c
assert_eq "$(cg_of "$SHARER")" /pool/c
kill -KILL "$PID"
wait_for 20 is_gone "$SHARER"

note "what moves within /pool needs no room in /pool"
chargectl set-property /pool MemoryMax=$(($(cg_read /pool memory.current) / MIB + 24))M
for g in a b; do
        chargectl place "$WRITER" --tree --candidates=/pool/$g --json >"$TMPDIR/placed"
        assert_eq "$(json "$TMPDIR/placed" 'o["result"]["state"]')" finished
        assert_eq "$(cg_of "$WRITER")" /pool/$g
        soon stat_ge /pool/$g anon $((46 * MIB)) "what the writer brought"
done
assert_fails chargectl place --bytes=32M --pool=pool --dry-run
chargectl set-property /pool MemoryMax=max
PID=$WRITER
check_writer

note "what nobody can hold: the closest is named, and nothing changes"
assert_fails chargectl place --bytes=200M --pool=pool -- touch "$TMPDIR/started"
assert_in "$ERR" "none of 3 candidates has room"
assert_in "$ERR" /pool/a
[ ! -e "$TMPDIR/started" ] || fail "started where there is no room"
assert_fails chargectl place "$WRITER" --tree --candidates=/pool/c,/pool/a --bytes=100M
assert_eq "$(cg_of "$WRITER")" /pool/b
assert_eq "$(claims)" ""

note "placements at the same time never get the same room"
# 12 programs of 44 MiB: two fit into /pool/a, one into /pool/b, one into /pool/c. None uses its room before all are answered.
N=12
i=0
while [ $i -lt $N ]; do
        i=$((i + 1))
        (
                _rc=0
                chargectl place --bytes=44M --pool=pool --note="program $i" -- sh -c \
                        'echo started >"$2"; until [ -e "$0" ]; do sleep 0.1; done; exec prog-memory "$1" anon 36 0 0' \
                        "$TMPDIR/go" "$TMPDIR/used.$i" "$TMPDIR/up.$i" 2>"$TMPDIR/said.$i" || _rc=$?
                echo $_rc >"$TMPDIR/code.$i"
        ) &
done

# answered N: so many have been started or have ended
answered() {
        [ "$(find "$TMPDIR" -name 'up.*' -o -name 'code.*' | wc -l)" -ge "$1" ]
}
wait_for 120 answered $N
assert_eq "$(find "$TMPDIR" -name 'up.*' | wc -l)" 4 "programs that were started"
assert_eq "$(cat "$TMPDIR"/code.* | sort | uniq -c | tr -s ' ')" " 8 1" "refused, with the code of NoRoom"
assert_in "$(cat "$TMPDIR"/said.*)" "none of 3 candidates has room"
assert_eq "$(claims | tr ' ' '\n' | sort | tr '\n' ' ')" "/pool/a=44 /pool/a=44 /pool/b=44 /pool/c=44 "
chargectl claims
: >"$TMPDIR/go"
used() {
        [ "$(grep -l touched "$TMPDIR"/used.* 2>/dev/null | wc -l)" -eq 4 ]
}
wait_for 120 used
for g in a b c; do
        assert_eq "$(cg_key /pool/$g memory.events oom_kill)" 0 "kills in /pool/$g"
        assert_eq "$(cg_key /pool/$g memory.events oom)" 0 "times that /pool/$g was full"
        assert_le "$(cg_read /pool/$g memory.current)" $((128 * MIB))
done
PID=$WRITER
check_writer
emit placed_at_once 4

note "the room comes back with their end"
cg_kill_all /pool/a /pool/b /pool/c
wait_for 60 no_claims
chargectl place --bytes=90M --pool=pool -- true
stop_daemon
