# SPDX-License-Identifier: LGPL-2.1-or-later
# fish completion for chargectl: chargectl itself knows the words.

function __chargectl_complete
    set -l words (commandline -opc) (commandline -ct)
    chargectl complete -- $words[2..-1] 2>/dev/null
end
complete -c chargectl -f -a '(__chargectl_complete)'
