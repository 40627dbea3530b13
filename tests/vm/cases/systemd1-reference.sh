# What the real systemd says to the scripts of calls: recorded anew, and it must be what is checked in.
#
#     systemd 257 as PID 1 ── prog-systemd1 ── $OUT/systemd1-reference-*.txt ═ tests/vm/systemd1-reference-*.txt
#
# To renew the checked-in files: ./dev vm 7.2 systemd1-reference --out DIR, then copy them from DIR. One of them alone:
# --env SCRIPTS=life.
# boot: systemd
# kernels: 7.2
# suite: reference
# timeout: 1500
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

grep -q '^tester:' /etc/passwd || echo 'tester:x:1000:1000::/tmp:/bin/sh' >>/etc/passwd
changed=
for script in ${SCRIPTS:-calls life properties}; do
        note "$script"
        file=systemd1-reference-$script.txt
        "$BIN"/prog-systemd1 --slow "${SLOW:-1}" "$TESTS/systemd1-$script.txt" >"$OUT/$file"
        diff "$TESTS/$file" "$OUT/$file" >"$OUT/$file.diff" || changed="$changed $file"
done
[ -z "$changed" ] || fail "systemd says something else now, see the .diff of$changed; copy them here if that is right"
