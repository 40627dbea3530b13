# crun of several Debian releases, unmodified, with systemd's cgroup driver.
# timeout: 240
# kernels: 7.2
# suites: bookworm trixie
# SPDX-License-Identifier: LGPL-2.1-or-later
. "$TESTS/lib.sh"
. "$TESTS/suites.sh"
. "$TESTS/containers.sh"

start_face
for suite in ${SUITES:-bookworm trixie}; do
        suite_enter "$suite"
        lifecycle "$suite" crun
done
