# The ledger's random program on this kernel: charges, moves, removals and dying threads, whose order rests on this kernel's membarrier().
# timeout: 120
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

for seed in 1 2 3; do
        "$BIN"/ledger-stress --seed "$seed" --ops 200000 --threads 4 >"$OUT/ledger.log"
        grep -q '^exact: 200000 operations' "$OUT/ledger.log" || { cat "$OUT/ledger.log"; exit 1; }
done
strace -f -e trace=membarrier "$BIN"/ledger-stress --seed 4 --ops 2000 --threads 2 2>"$OUT/membarrier.log" >/dev/null
grep -q 'MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0) *= 0' "$OUT/membarrier.log" ||
        { head -n 5 "$OUT/membarrier.log"; exit 1; }
