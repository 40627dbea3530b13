# Fails by the first command that does.
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
assert_close 100 104 5 "close enough"
assert_close 100 110 5 "too far"
echo "not reached"
