# Outlives its time.
# timeout: 2
# SPDX-License-Identifier: LGPL-2.1-or-later
sleep 1000
