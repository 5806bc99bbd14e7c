# demo: the trained network is right on the whole held-out part.
. "$(dirname "$0")/kit.sh"
expect 0 "$fovea" demo
says out "360 of 360 held-out pictures right: 100.0 %"
says out "china.jpg"
says out "| total"
expect 1 "$fovea" demo --data /nonexistent
says err "E0301"
