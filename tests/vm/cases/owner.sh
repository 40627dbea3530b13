# The daemon's word on who pays for a shared address space beside what the kernel does, in all the ways to share one; then more
# process events than their socket holds, while the daemon stands still: it reads all again, and is right afterwards.
#
#     kernel: connector ──▶ chargehandd ── GetOwner, OwnerChanged
#     kernel: whose account does the next page go to?    … the same
#
# timeout: 180
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/daemon.sh"

# status KEY: of ownership in Status
status() {
        call Status | answer "d[0]['ownership']['$1']"
}

cg_create /o/a
printf '[Ownership]\nTrack=yes\n[Debug]\nEventBuffer=16384\n' >"$TMPDIR/conf"
start_daemon --config="$TMPDIR/conf"
assert_eq "$(status tracking)" True "tracking"

note "the kernel and the daemon say the same"
prog-owner --bus "$TESTS/owner-scenarios.txt"

note "more events than the socket holds"
lost=$(status lost)
kill -STOP "$DAEMON"
prog-forks 3000 20 "$TMPDIR/pairs" &
wait_for 120 [ -e "$TMPDIR/pairs" ]
kill -CONT "$DAEMON"
owner_of() {
        call GetOwner u "$1" | answer 'd[0]["owner"], d[0]["source"], sorted(d[0]["users"])'
}
# in one go, since each call of busctl takes half a second here
python3 - "$TMPDIR/pairs" <<'PYTHON'
import json, subprocess, sys
for line in open(sys.argv[1]):
    owner, sharer = map(int, line.split())
    said = subprocess.run(["busctl", "--system", "--json=short", "call", "org.chargehand1", "/org/chargehand1",
                           "org.chargehand1.Manager", "GetOwner", "u", str(sharer)], capture_output=True, text=True, check=True)
    answer = {k: v["data"] for k, v in json.loads(said.stdout)["data"][0].items()}
    if answer["owner"] != owner or sorted(answer["users"]) != sorted([owner, sharer]) or answer["source"] != "registry":
        sys.exit("pair %d %d: %s" % (owner, sharer, answer))
PYTHON
assert_ge "$(status lost)" $((lost + 1)) "times that events were lost"
agrees() {
        assert_close "$(status processes)" "$(find /proc -maxdepth 1 -name "[0-9]*" | wc -l)" 10 "processes known"
}
soon agrees

note "moved by somebody else"
cg_create /o/b
read -r OWNER SHARER <"$TMPDIR/pairs"
chargectl owner "$SHARER"
cg_move /o/b "$OWNER"
assert_eq "$(call GetOwner u "$SHARER" | answer 'd[0]["group"]')" /o/b "who pays after a move that nobody told"
chargectl owner "$SHARER" >"$TMPDIR/said"
cat "$TMPDIR/said"
assert_in "$(cat "$TMPDIR/said")" "/o/b pays for the memory of pid $SHARER: its address space is owned by pid $OWNER (prog-forks)."
assert_in "$(chargectl explain "$SHARER")" "owned by prog-forks (pid $OWNER): /o/b pays"
assert_in "$(chargectl status)" "address spaces of"

note "without the daemon, and without tracking"
stop_daemon
assert_eq "$(chargectl owner "$SHARER" --json=short | python3 -c 'import json, sys; o = json.load(sys.stdin)
print(o["owner"], o["group"], o["source"])')" "$OWNER /o/b kernel"
start_daemon
assert_eq "$(owner_of "$SHARER")" "($OWNER, 'registry', [$OWNER, $SHARER])" "after a restart"
stop_daemon
printf '[Ownership]\nTrack=no\n' >"$TMPDIR/conf"
start_daemon --config="$TMPDIR/conf"
assert_eq "$(status tracking) $(status reason)" "False Track=no"
assert_eq "$(owner_of "$SHARER")" "($OWNER, 'kernel', [$OWNER, $SHARER])" "untracked"
stop_daemon
# process events go to the host's own network namespace only: said, and answered all the same
unshare -n chargehandd >>"$TMPDIR/daemon.log" 2>&1 &
DAEMON=$!
wait_for 30 daemon_is_up
assert_eq "$(status tracking)" False "tracking in another network namespace"
assert_in "$(status reason)" "process connector"
assert_eq "$(owner_of "$SHARER")" "($OWNER, 'kernel', [$OWNER, $SHARER])" "in another network namespace"
