# chargectl without the daemon, on what the kernel really says:
#
#     /old ◀─ 32 MiB small (huge pages forbidden), 16 MiB huge    the process sits in /new, where memory.max = 256M
#
# Tables and JSON agree with the kernel; a plan says what would move and what is refused; errors have their exit codes.
# timeout: 150
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

MIB=1048576

# json EXPRESSION: of the object on stdin, called o.
json() {
        python3 -c 'import json, sys; o = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"
}

has_line() {
        grep -qx "$2" "$1"
}

exit_code() {
        _rc=0
        "$@" >"$TMPDIR/said" 2>&1 || _rc=$?
        echo $_rc
}

cg_create /old /new/leaf /small
cg_write /new memory.max 256M
cg_write /small memory.max 8M
cg_run /old prog-memory "$TMPDIR/ready" anon 32 16 0
wait_for 20 has_line "$TMPDIR/ready" touched
cg_move /new/leaf "$PID"

note "tables"
chargectl
chargectl tree --all
chargectl status
chargectl status /new/leaf
chargectl status "$PID"
chargectl map "$PID"
chargectl map /old
chargectl explain "$PID"
chargectl show /new
chargectl probe
chargectl plan "$PID" /old
exit_code chargectl plan "$PID" /small
cat "$TMPDIR/said"

note "the map"
anon=$(chargectl map "$PID" --json | json 'sum(r["bytes"] for r in o["rows"] if r["group"] == "/old" and "anon" in r["kind"])')
assert_close "$anon" $((48 * MIB)) 3 "anon bytes charged to /old"
assert_in "$(chargectl map "$PID")" "/old"
left=$(chargectl map /old --json | json 'o["figures"]["left_behind_bytes"]')
assert_close "$left" $((48 * MIB)) 5 "left behind in /old"
elsewhere=$(chargectl map /new/leaf --json | json 'o["figures"]["elsewhere_bytes"]')
assert_ge "$elsewhere" $((47 * MIB)) "elsewhere of /new/leaf"
assert_eq "$(chargectl status "$PID" --json | json 'o["group"]')" /new/leaf
assert_eq "$(chargectl explain "$PID" --json | json 'o["binding"]["memory.max"]["group"]')" /new
assert_ge "$(chargectl explain "$PID" --json | json 'o["payers"]["/old"]')" $((47 * MIB)) "what /old pays"

note "groups and properties"
assert_eq "$(chargectl list --json | json 'sorted(r["path"] for r in o)')" "['/', '/new', '/new/leaf', '/old', '/small']"
assert_eq "$(chargectl list /new/leaf --json | json 'o[0]["processes"]')" 1
assert_eq "$(chargectl tree /new --json | json 'o["groups"][0]["path"]')" /new/leaf
assert_eq "$(chargectl show /new -p MemoryMax --value)" $((256 * MIB))
assert_eq "$(chargectl get-property /new MemoryMax)" "t $((256 * MIB))"
assert_eq "$(chargectl get-property /new MemoryHigh --json=short)" '{"type":"t","data":18446744073709551615}'
assert_eq "$(chargectl show /new --json | json 'o["Populated"]')" True
assert_eq "$(chargectl probe --json | json 'o["features"]["kpagecgroup"]["available"]')" True

note "the plan"
plan=$(chargectl plan "$PID" /new/leaf --json)
assert_eq "$(echo "$plan" | json 'o["feasible"]')" True
assert_ge "$(echo "$plan" | json 'o["movable_bytes"]')" $((15 * MIB)) "movable"
assert_eq "$(exit_code chargectl plan "$PID" /small)" 1
assert_in "$(cat "$TMPDIR/said")" "Refused: /small"
assert_eq "$(cg_of "$PID")" /new/leaf "a plan changes nothing"

note "errors"
assert_eq "$(exit_code chargectl map 4194303)" 3
assert_eq "$(exit_code chargectl show /nowhere)" 4
assert_eq "$(exit_code chargectl list a/b)" 2
assert_eq "$(exit_code chargectl show /new -p MemryMax)" 2
assert_in "$(cat "$TMPDIR/said")" "did you mean 'MemoryMax'"
assert_eq "$(exit_code chargectl move "$PID" /old)" 75
assert_in "$(cat "$TMPDIR/said")" "chargehandd"
assert_eq "$(exit_code as_tester chargectl map "$PID")" 5
cat "$TMPDIR/said"
as_tester chargectl list
kill "$PID"
