# What a placement knows of the real kernel, and what it makes of it.
#
#     /p ── a   holds shared memory, an address space, pages shared by fork
#        ├─ b
#        └─ c   limited
#     /src      what is to be placed
# timeout: 300
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

MIB=1048576
# Pages on their way through per-CPU lists show no group yet.
SLACK=$(($(nproc) * 31 * 4096))
cg_create /p/a /p/b /p/c /src

# place EXIT ARGUMENTS…: result in $TMPDIR/result, as run_move.
place() {
        _want=$1
        shift
        _rc=0
        prog-place "$@" >"$TMPDIR/result" 2>"$TMPDIR/error" || _rc=$?
        if [ $_rc -ne "$_want" ]; then
                cat "$TMPDIR/result" "$TMPDIR/error"
                fail "prog-place $*: ended with $_rc, want $_want"
        fi
        [ ! -s "$TMPDIR/result" ] || python3 -c '
import json, sys
for c in json.load(open(sys.argv[1]))["candidates"]: print(c["score"], c["group"], c["reason"])' "$TMPDIR/result"
}

# of GROUP KEY: a member of that candidate, such as terms.sharing
of() {
        python3 -c '
import json, sys
placement = json.load(open(sys.argv[1]))
value = next(c for c in placement["candidates"] if c["group"] == sys.argv[2])
for part in sys.argv[3].split("."): value = value[part]
print(value)' "$TMPDIR/result" "$1" "$2"
}

lines() {
        [ "$(wc -l <ready 2>/dev/null || echo 0)" -ge "$1" ]
}

# start_pair MODE LINES MIB: PID in /p/a, its child CHILD in /src
start_pair() {
        rm -f ready
        cg_run /p/a prog-memory "$PWD/ready" "$1" "$3"
        wait_for 60 lines "$2"
        CHILD=$(grep -vx "$PID" "$CG/p/a/cgroup.procs")
        cg_move /src "$CHILD"
}

stop_pair() {
        kill -KILL "$PID" "$CHILD"
        wait_for 20 is_gone "$PID"
        wait_for 20 is_gone "$CHILD"
}

note "shared memory that /p/a pays for keeps its sharers together"
start_pair memfd 2 48
place 0 --pid "$CHILD" --policy affinity /p/b /p/a /p/c
assert_eq "$(result chosen)" /p/a
assert_close "$(of /p/a shared_here_bytes)" $((48 * MIB)) 3 "shared in /p/a"
assert_le "$(of /p/a shared_apart_bytes)" $SLACK "shared elsewhere from /p/a"
assert_close "$(of /p/b shared_apart_bytes)" $((48 * MIB)) 3 "shared elsewhere from /p/b"
assert_ge "$(of /p/a terms.sharing)" 9900 "sharing of /p/a"
assert_le "$(of /p/b terms.sharing)" 2000 "sharing of /p/b"
assert_in "$(of /p/a reason)" "shares 48.0 MiB with processes there"
assert_ge "$(of /p/b left_bytes)" $((48 * MIB - SLACK)) "left behind by /p/b"
assert_le "$(of /p/a left_bytes)" $((8 * MIB)) "left behind by /p/a"
# both together share it with nobody
place 0 --tree --pid "$PID" --policy affinity /p/b /p/c
assert_le "$(result shared_bytes)" $SLACK "shared by parent and child together"
# mapped three times, but there once
assert_close "$(of /p/b left_bytes)" $((49 * MIB)) 5 "left by both, each page once"
assert_le "$(result resident_bytes)" $((52 * MIB)) "resident, each page once"
stop_pair

note "an address space belongs with who has it as well"
start_pair clone-vm 1 32
place 0 --pid "$CHILD" --policy affinity /p/b /p/a
assert_eq "$(result chosen)" /p/a
assert_ge "$(of /p/a shared_here_bytes)" $((32 * MIB)) "address space in /p/a"
assert_ge "$(of /p/b shared_apart_bytes)" $((32 * MIB)) "address space apart from /p/b"
assert_ge "$(of /p/b left_bytes)" $((32 * MIB - SLACK)) "its owner pays"
stop_pair

note "pages shared since a fork"
start_pair cow 1 32
place 0 --pid "$CHILD" --policy affinity /p/b /p/a
assert_eq "$(result chosen)" /p/a
assert_close "$(of /p/a shared_here_bytes)" $((32 * MIB)) 5 "pages of the parent"
stop_pair

note "a program of its own: what the plan of the move says"
start_writer /src small 64
for group in /p/b /p/c; do
        run_move 0 --plan $group "$PID"
        cp "$TMPDIR/result" plan
        movable=$(result movable_bytes)
        staying=$(result staying_bytes)
        needed=$(python3 -c '
import json
print(max(r["needed_bytes"] for r in json.load(open("plan"))["room"] if r["group"] == "/p"))')
        place 0 --pid "$PID" $group
        assert_close "$(of $group movable_bytes)" "$movable" 2 "movable to $group"
        assert_close "$(of $group left_bytes)" "$staying" 10 "left behind by $group"
        assert_le "$(result shared_bytes)" $((2 * MIB)) "a program of its own shares next to nothing"
        cg_write /p memory.max $((512 * MIB))
        place 0 --pid "$PID" $group
        assert_eq "$(of $group limited_by)" /p
        assert_close "$(of $group needed_bytes)" "$needed" 2 "needed at /p"
        assert_close "$(of $group free_bytes)" $((512 * MIB - $(cat $CG/p/memory.current))) 2 "free at /p"
        cg_write /p memory.max max
done

note "where its charges are is a candidate, too"
place 0 --pid "$PID" --weights charges:1 /p/b /src
assert_ge "$(of /src here_bytes)" $((64 * MIB - SLACK)) "charged to /src"
assert_le "$(of /src movable_bytes)" $((2 * MIB)) "nothing has to come to /src"
assert_close "$(of /p/b movable_bytes)" "$movable" 2 "movable to /p/b"
run_move 0 --plan /src "$PID"
assert_le "$(result movable_bytes)" $((2 * MIB)) "the plan to /src"

note "what is below a common ancestor already needs no room there"
cg_move /p/a "$PID"
run_move 0 /p/a "$PID"
paid() {
        assert_ge "$(cg_key /p/a memory.stat anon)" $((50 * MIB))
}
soon paid
cg_write /p memory.max $(($(cat $CG/p/memory.current) + 8 * MIB))
# but for what the kernel keeps back it is all there
place 0 --pid "$PID" /p/b
assert_le "$(python3 -c '
import json, sys
print(json.load(open(sys.argv[1]))["candidates"][0]["needed_bytes"])' "$TMPDIR/result")" $((8 * MIB)) "needed at the limit"
cg_write /p memory.max max
stop_writer

note "limits, claims, and what nobody holds"
cg_write /p/a memory.max $((300 * MIB))
cg_write /p/b memory.max $((200 * MIB))
cg_write /p/c memory.high $((100 * MIB))
place 0 --bytes 64M /p/a /p/b /p/c
assert_eq "$(result chosen)" /p/a
place 0 --bytes 64M --policy pack /p/a /p/b /p/c
assert_eq "$(result chosen)" /p/c
assert_eq "$(of /p/c limit)" memory.high
place 0 --bytes 64M --policy pack --claim /p/c=60M /p/a /p/b /p/c
assert_eq "$(result chosen)" /p/b
assert_eq "$(of /p/c claimed_bytes)" $((60 * MIB))
place 3 --bytes 64M --claim /p/a=280M --claim /p/b=170M --claim /p/c=99M /p/a /p/b /p/c
assert_in "$(cat "$TMPDIR/error")" "NoRoom: /p/b: none of 3 candidates has room; the closest candidate, /p/b, lacks"
place 3 --bytes 1P /p/a
assert_in "$(cat "$TMPDIR/error")" "NoRoom: "

note "page cache speaks for a group, and makes no room"
BIG=/var/tmp/place-facts
head -c $((150 * MIB)) /dev/urandom >$BIG
sync $BIG
place 0 --bytes 64M /p/a
before=$(of /p/a terms.headroom)
echo 3 >/proc/sys/vm/drop_caches
cg_run /p/a cat $BIG >/dev/null
wait "$PID"
place 0 --bytes 64M /p/a
assert_ge "$(of /p/a cache_bytes)" $((140 * MIB)) "cache of /p/a"
# half of what was free is gone otherwise, which would be some 380
assert_ge "$(of /p/a terms.headroom)" $((before - 60)) "headroom in spite of the cache"
place 3 --bytes 200M /p/a
rm $BIG

note "who cannot take processes is told, not failed"
cg_create /p/d/main
cg_write /p/d cgroup.subtree_control +memory
cg_write /p/b cgroup.freeze 1
wait_for 10 grep -q 'frozen 1' $CG/p/b/cgroup.events
place 0 --bytes 1M /p/a /p/b /p/d /p/gone
assert_eq "$(result chosen)" /p/a
assert_in "$(of /p/b reason)" "frozen"
assert_in "$(of /p/d reason)" "in its leaves; name a leaf"
assert_in "$(of /p/gone reason)" "no such group"
place 3 --bytes 1M /p/b /p/d
assert_in "$(cat "$TMPDIR/error")" "BadTarget: "
place 4 --bytes 1M /p/gone
assert_in "$(cat "$TMPDIR/error")" "NoSuchGroup: /p/gone"

note "CPUs and nodes"
cg_write /p/a cpu.max "50000 100000"
place 0 --bytes 1M --cpus 1000 --nodes 0 /p/a /p/c
assert_eq "$(of /p/a cpus_milli)" 500
assert_eq "$(of /p/a terms.cpu)" 5000
assert_eq "$(of /p/c terms.cpu)" 10000
assert_eq "$(of /p/c nodes)" 0
