# chargehand.ko acts only on kernels that are as they were reviewed. Here it is the module that is not: bytes of the
# file are changed, and it must say which row it is that the kernel does not agree with.
# module: yes
# timeout: 240
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

PARAMETERS=/sys/module/chargehand/parameters
MODULE=$(modinfo -n chargehand)

# with OLD NEW [PARAMETER…]: load the module with one text of its tables changed, both of one length (or NEW shorter).
# What the kernel says goes to $SAID; not loading is no failure here.
with() {
        python3 - "$MODULE" "$TMPDIR/changed.ko" "$1" "$2" <<'P'
import sys
old, new = (b"\0" + a.encode() + b"\0" for a in sys.argv[3:])
data = open(sys.argv[1], "rb").read()
assert data.count(old) >= 1, f"no {old} in the module"
open(sys.argv[2], "wb").write(data.replace(old, new.ljust(len(old), b"\0")))
P
        shift 2
        said_by insmod "$TMPDIR/changed.ko" "$@"
}

# said_by COMMAND…: $SAID is what the kernel's log got by it, $LOADED whether it went well.
said_by() {
        kernel_mark
        LOADED=yes
        "$@" || LOADED=no
        SAID=$(kernel_log | grep 'chargehand: ' || true)
}

# refused TEXT: it did not load, and said so.
refused() {
        assert_eq "$LOADED" no "loaded, where it should not ($1)"
        assert_in "$SAID" "not loaded: $1" "what it said"
        [ ! -e /sys/module/chargehand ] || fail "it is there all the same"
}

# read_only TEXT: it loaded, moves nothing, and says why; looking works.
read_only() {
        assert_eq "$LOADED" yes "loaded ($1)"
        assert_in "$(cat $PARAMETERS/mode)" "read-only: $1" "parameters/mode"
        assert_in "$SAID" "$1" "what it said"
        assert_eq "$(cat $PARAMETERS/move_kinds)" none "parameters/move_kinds"
        assert_eq "$(ask)" "info mode 0 kinds 0, move EROFS, dry ok" "what can be done"
        module_unload
}

# ask: what INFO tells of mode and kinds; MOVE from /gate/a to /gate/b, and the same to look only.
ask() {
        python3 - <<'P'
import errno, fcntl, os, struct
fd = os.open("/dev/chargehand", os.O_RDWR)
info = bytearray(struct.pack("=IIiIQIIQIIQII", 0, 0, -1, *[0] * 10))
info[0:4] = struct.pack("=I", len(info))
fcntl.ioctl(fd, 0xCE03, info)
mode, kinds = struct.unpack_from("=I", info, 28)[0], struct.unpack_from("=I", info, 56)[0]
def move(flags):
    groups = [os.open("/sys/fs/cgroup/gate/" + g, os.O_RDONLY) for g in "ab"]
    arg = bytearray(struct.pack("=IIiiiI", 0, flags, -1, *groups, 3) + bytes(40 + 8 + 8) + bytes(8 * 8 + 8 * 12 + 6 * 8))
    arg[0:4] = struct.pack("=I", len(arg))
    try:
        fcntl.ioctl(fd, 0xCE01, arg)
        return "ok"
    except OSError as e:
        return errno.errorcode[e.errno]
print(f"info mode {mode} kinds {kinds:x}, move {move(0)}, dry {move(4)}")
P
}

# As it is, while the root is the only group: the self-test waits for the first move.
said_by modprobe chargehand
assert_eq "$(cat $PARAMETERS/mode)" move "parameters/mode"
assert_in "$SAID" "put off until the next move: the root is the only group" "what it said"
cg_create /gate/a /gate/b
case $KERNEL in
7.2) kinds="anon anon_thp shmem file" mask=f ;;
*) kinds="anon anon_thp shmem file swap" mask=1f ;;
esac
assert_eq "$(cat $PARAMETERS/move_kinds)" "$kinds" "parameters/move_kinds"
assert_eq "$(ask)" "info mode 1 kinds $mask, move ok, dry ok" "what can be done"
assert_in "$(kernel_log)" "chargehand: the self-test passed" "what it said"
module_unload

# With another group it runs at load; in a group of its own as well.
said_by modprobe chargehand
assert_in "$SAID" "the self-test passed" "what it said"
assert_in "$SAID" "moves on $(uname -r)" "what it said"
module_unload
said_by sh -c 'echo 0 >"$0" && exec modprobe chargehand' "$CG/gate/a/cgroup.procs"
assert_in "$SAID" "the self-test passed" "what it said, loaded from a group"
assert_eq "$(cat $PARAMETERS/mode)" move "parameters/mode"
module_unload
soon stat_le /gate/a anon 0

# Prototypes. What MOVE needs makes it read-only; what MAP needs keeps it out.
with "void (struct folio *)" "void (struct pages *)"
read_only "folio_putback_lru() is 'void (struct folio *)' in this kernel, and 'void (struct pages *)' was reviewed"
with folio_putback_lru folio_putback_lrx
read_only "folio_putback_lrx() is not among this kernel's symbols"
with "struct page * (struct vm_area_struct *, unsigned long, pte_t)" "struct page * (struct vm_area_struct *, unsigned long, pmd_t)"
refused "vm_normal_page() is 'struct page * (struct vm_area_struct *, unsigned long, pte_t)' in this kernel"

# Layouts and values.
with page_counter.max page_counter.min
read_only "page_counter.min has offset "
with folio.memcg_data folio.memcg_dat
refused "folio.memcg_dat is not in this kernel's BTF"
with node_stat_item.NR_ANON_THPS node_stat_item.NR_FILE_THPS
read_only "node_stat_item.NR_FILE_THPS is "

# A function of the same prototype that does something else is found by the self-test.
with page_counter_uncharge page_counter_set_low
read_only "the self-test failed: page counters do not count as they did"

# Records of swapped pages are left alone when only they are in doubt.
if [ "$KERNEL" != 7.2 ]; then
        with memcg_stat_item.MEMCG_SWAP memcg_stat_item.MEMCG_SOCK
        assert_in "$SAID" "swap records are left alone: memcg_stat_item.MEMCG_SOCK is " "what it said"
        assert_eq "$(cat $PARAMETERS/mode)" move "parameters/mode"
        assert_eq "$(cat $PARAMETERS/move_kinds)" "anon anon_thp shmem file" "parameters/move_kinds"
        module_unload
fi

# Kernels that tell nothing of themselves.
with __start_BTF __start_BTX
refused "no BTF that can be read (error -2), so nothing can be checked; this takes CONFIG_DEBUG_INFO_BTF"
with kallsyms_lookup_name kallsyms_lookup_nick
refused "no kallsyms_lookup_name(); this takes CONFIG_KPROBES"

# Parameters.
said_by modprobe chargehand read_only=1
read_only "asked for by the parameter read_only=1"
said_by modprobe chargehand mode=move
refused "the parameter mode can only be read"
