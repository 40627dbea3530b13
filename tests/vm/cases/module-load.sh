# chargehand.ko comes and goes: its device is root's alone, and nothing is left of it.
# module: yes
# timeout: 60
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"

# busy: somebody has the device open, so that the module must not go.
busy() {
        exec 9<>/dev/chargehand
        assert_fails rmmod chargehand
        assert_in "$ERR" "in use" "rmmod of a module in use"
        exec 9>&-
}

i=0
while [ $i -lt 20 ]; do
        module_load
        assert_eq "$(stat -c '%F %a %U:%G' /dev/chargehand)" "character special file 600 root:root" "the device"
        assert_fails as_tester sh -c ': <>/dev/chargehand'
        [ $i -ne 10 ] || busy
        module_unload
        i=$((i + 1))
done
! grep "^chargehand " /proc/modules || fail "it is still listed"
module_clean
