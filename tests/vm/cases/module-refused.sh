# A kernel that takes signed modules only refuses ours, and chargectl status says why, each time for the right reason.
# module: yes
# boot: own
# timeout: 60
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

# refused MODPROBE-SAYS LOG-SAYS STATUS-SAYS
refused() {
        kernel_mark
        assert_fails modprobe chargehand
        assert_in "$ERR" "$1" "modprobe"
        assert_in "$(kernel_log)" "$2" "the kernel's log"
        assert_in "$(chargectl status)" "$3" "chargectl status"
        [ ! -e /dev/chargehand ] || fail "there is a device all the same"
}

# The word that chargectl status has for the module now.
state() {
        chargectl --json status | python3 -c 'import json, sys; print(json.load(sys.stdin)["module"]["state"])'
}

[ -e /sys/kernel/security/lockdown ] || mount -t securityfs securityfs /sys/kernel/security
modinfo chargehand | grep -q '^sig_id:' && fail "the module of this test is signed"

assert_eq "$(state)" "not loaded" "before"
module_load
assert_ne "$(state)" "not loaded" "loaded"
module_unload
module_clean

echo integrity >/sys/kernel/security/lockdown
refused "Operation not permitted" "unsigned module loading is restricted" "lockdown is 'integrity'"
assert_eq "$(state)" refused "under lockdown"

# Once on it cannot be turned off, so it comes last; it is asked before lockdown is.
echo Y >/sys/module/module/parameters/sig_enforce
refused "Key was rejected by service" "Loading of unsigned module is rejected" "module.sig_enforce is on"
assert_eq "$(state)" refused "with sig_enforce"
