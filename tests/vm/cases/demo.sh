# A Redis server under traffic moves between groups with its memory: tools/demo-run.py, in the guest.
# timeout: 420
# mem: 2560
# suite: demo
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

python3 "$TESTS/files/demo-run.py" --bin "$BIN" --keys "${DEMO_KEYS:-100000}" --json-file "$OUT/demo.json"
