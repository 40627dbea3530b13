# Two NUMA nodes: where the pages of a process are, and which candidates may use those nodes.
#
#     /src  cpuset.mems 1     what is to be placed
#     /p ── n0  cpuset.mems 0
#        └─ n1  cpuset.mems 1
# numa: 2
# timeout: 90
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/move.sh"

MIB=1048576

[ "$(cat /sys/devices/system/node/has_memory)" = 0-1 ] || skip "this kernel shows one node"
cg_create /p/n0 /p/n1 /src
cg_write /p/n0 cpuset.mems 0
cg_write /p/n1 cpuset.mems 1
cg_write /src cpuset.mems 1

place() {
        _want=$1
        shift
        _rc=0
        prog-place "$@" >"$TMPDIR/result" 2>"$TMPDIR/error" || _rc=$?
        cat "$TMPDIR/error"
        assert_eq $_rc "$_want" "prog-place $*"
}

# of GROUP KEY [KEY]
of() {
        python3 -c '
import json, sys
value = next(c for c in json.load(open(sys.argv[1]))["candidates"] if c["group"] == sys.argv[2])
for key in sys.argv[3:]: value = value[key]
print(value)' "$TMPDIR/result" "$@"
}

note "a program that is about to start"
place 0 --bytes 1M --nodes 1 /p/n0 /p/n1
assert_eq "$(result chosen)" /p/n1
assert_eq "$(of /p/n0 nodes)" 0
assert_eq "$(of /p/n1 nodes)" 1
assert_eq "$(of /p/n0 terms nodes)" 0
assert_eq "$(of /p/n1 terms nodes)" 10000
assert_in "$(of /p/n0 reason)" "may use nodes 0 only"

note "one that runs: its pages are on node 1"
start_writer /src small 64
grep -c 'N1=' "/proc/$PID/numa_maps"
place 0 --pid "$PID" /p/n0 /p/n1
assert_eq "$(result chosen)" /p/n1
assert_ge "$(of /p/n1 terms nodes)" 9000 "pages that are near in /p/n1"
assert_le "$(of /p/n0 terms nodes)" 1000 "pages that are near in /p/n0"
assert_eq "$(of /p/n0 nodes)" 0

note "half of another's pages on each node"
cg_write /src cpuset.mems 0-1
start_writer /src small 32
SECOND=$PID
awk '{ for (i = 1; i <= NF; i++) if ($i ~ /^N[0-9]+=/) { split($i, a, "="); n[a[1]] += a[2] } } END { for (k in n) print k, n[k] * 4096 }' \
        "/proc/$SECOND/numa_maps" >nodes
place 0 --pid "$SECOND" /p/n0 /p/n1
want=$(awk '{ n[$1] = $2 } END { printf "%d", 10000 * n["N0"] / (n["N0"] + n["N1"]) }' nodes)
got=$(of /p/n0 terms nodes)
assert_ge "$got" $((want - 300)) "share on node 0"
assert_le "$got" $((want + 300)) "share on node 0"
assert_ge $(($(awk '{ n += $2 } END { print n }' nodes))) $((32 * MIB)) "pages seen"
