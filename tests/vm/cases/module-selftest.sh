# The self-test of chargehand.ko judges the kernel, not the traffic: it passes, or waits, however busy the loader's group
# and its parent are, and at whatever limit they stand; it leaves nothing behind, and no event.
# module: yes
# suite: kmod
# timeout: 300
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

PARAMETERS=/sys/module/chargehand/parameters
MIB=1048576
cg_create /top/busy /top/quiet

# traffic BYTES: allocates, writes and frees for ever, by small pages and huge ones.
traffic() {
        cg_run /top/busy python3 -c "
import mmap, random
while True:
    size = random.randrange(1, 64) * $1 // 64
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for at in range(0, size, 4096):
        memory[at] = 1
    memory.close()"
}

# load GROUP: the module, by a process of that group.
load() {
        sh -c 'echo 0 >"$0" && exec modprobe chargehand' "$CG$1/cgroup.procs" || fail "does not load from $1"
        assert_eq "$(cat $PARAMETERS/mode)" move "mode, loaded from $1"
        module_unload
}

kernel_mark
traffic $((16 * MIB))
traffic $((16 * MIB))

# Both groups busy; then with reclaim and swap going on, and the parent at its limit.
i=0
while [ $i -lt 12 ]; do
        [ $i -ne 4 ] || echo $((24 * MIB)) >"$CG/top/busy/memory.max"
        [ $i -ne 8 ] || echo $((16 * MIB)) >"$CG/top/memory.max"
        load /top/busy
        i=$((i + 1))
done

# A full parent does not matter to the loader's own pages, which it is charged for already: no event of it is ours. The other
# group here is the parent, in which nothing but a limit is.
echo max >"$CG/top/memory.max"
echo max >"$CG/top/busy/memory.max"
before=$(cat "$CG/top/quiet/memory.events")
load /top/quiet
assert_eq "$(cat "$CG/top/quiet/memory.events")" "$before" "events of a group from which it was loaded"
soon stat_le /top/quiet anon 0
module_clean
