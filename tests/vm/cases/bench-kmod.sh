# The kernel module beside collapse and pagemap; rows of JSON in $OUT/bench-kmod.json.
# module: yes
# timeout: 900
# mem: 4096
# kernels: 6.1 6.12 7.2
# suite: bench
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

module_load
# Small pages that may be made huge when asked for, and not before; and nobody else who makes or moves any.
echo madvise >/sys/kernel/mm/transparent_hugepage/enabled
echo 100000000 >/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs
swapoff -a
cg_create /bench/0
cg_remove /bench/0
bench-kmod "$CG/bench" "${BENCH_REPEAT:-3}" >"$OUT/bench-kmod.json.part"
mv "$OUT/bench-kmod.json.part" "$OUT/bench-kmod.json"
cat "$OUT/bench-kmod.json"
module_unload
module_clean
