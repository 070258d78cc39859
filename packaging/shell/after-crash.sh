#!/bin/sh
# What a script does with a crash: after-crash.sh FILE-OR-FOLDER [PACK.tar.gz]
# Prints one line. Ends with kbmatch's own status: 0 known issue, 1 anything else, 2 an error.
set -u
crash=${1:?usage: after-crash.sh FILE-OR-FOLDER [PACK.tar.gz]}
pack=${2:-}

found=$(kbmatch core --format json "$crash")
status=$?
case $status in
0 | 1) ;;
*) exit "$status" ;; # kbmatch has said why on standard error
esac

# One JSON object; python3 is there wherever kbmatch is. With jq: jq -r '.outcome, .findings[0].rule'
printf '%s' "$found" | python3 -c '
import json, sys
found = json.load(sys.stdin)
best = (found["findings"] or [None])[0]
parts = [found["outcome"]]
if best:
    parts += [best["verdict"], best["rule"]]
    if best["recommend"]["version"]:
        parts.append("fixed in " + best["recommend"]["version"])
    parts += best["recommend"]["commands"][:1]
print(": ".join(parts))
'
if [ "$status" -eq 1 ] && [ -n "$pack" ]; then
    kbmatch escalate "$crash" --force -o "$pack"
fi
exit "$status"
