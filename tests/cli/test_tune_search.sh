# tune: rows are kept whatever happens, a run goes on where the last one ended, nothing wrong or slower wins, mistakes are
# told. No speed is judged: a budget is kept when the program ends long before a test would time out.
. "$(dirname "$0")/kit.sh"
spec="dense --shape b=1,head=1,m=40,kv=1,n=40,d=16 --threads 1"
rows() { sed -n 's/.* \([0-9]*\) rows written.*/\1/p' "$work/out"; }
tried() { grep -E "^\| attend0" "$work/out" | sed -n "s#.*/ *\([0-9]*\) |.*#\1#p" | grep . || echo 0; }
there() { sed -n 's/.* beside \([0-9]*\) that were there.*/\1/p' "$work/out"; }
# A search that comes to candidates, however busy the machine is: more time if there was too little.
search() {
    for budget in 2s 10s 45s; do
        expect 0 "$fovea" tune $spec --budget $budget "$@"
        [ "$(tried)" -gt 0 ] && return 0
    done
    cat out
    fail "nothing is tried in 45 s"
}
# measured DB N: waits until so many rows are there.
measured() {
    i=0
    while [ "$("$fovea" tune --export - --db "$1" 2>/dev/null | wc -l)" -lt "$2" ]; do
        i=$((i + 1))
        [ $i -lt 120 ] || fail "no $2 rows in $1"
        sleep 0.5
    done
}

search --db a.db
says out "| attend0"
says out "the whole model, run in turn:"
first=$(rows)
[ "$first" -gt 1 ] || fail "rows of the first run: $first"
grep -E '^\| attend0' out | grep -qE '\|  *[+-]0\.0% \||\|  *-[0-9.]+% \|' || { cat out; fail "a winner that is slower"; }
all=$("$fovea" tune --export - --db a.db | wc -l)
expect 0 "$fovea" tune $spec --budget 10s --db a.db --resume
[ "$(there)" -gt 0 ] || fail "the second run starts anew"
[ "$(there)" -le "$all" ] || fail "more rows than were written"
"$fovea" tune --export - --db a.db | sed 's/.*"schedule": *"\([^"]*\)".*/\1/' | sort | uniq -d >twice
[ ! -s twice ] || { cat twice; fail "measured a second time"; }
grep -q "(none: the default)\|attend.box" out || fail "no winner is named"

# The default database lies in the folder of the cache.
expect 0 "$fovea" tune $spec --budget 1s
grep -qF "$FOVEA_CACHE/tune.db" out || fail "the database is not named"
[ -s "$FOVEA_CACHE/tune.db" ] || fail "no database beside the cache"

# Killed: what was measured stays, and nobody is left running.
"$fovea" tune $spec --budget 600s --db k.db >killed 2>&1 &
pid=$!
measured k.db 5
kill -9 $pid 2>/dev/null || { cat killed; fail "it ended by itself"; }
wait $pid 2>/dev/null || true
sleep 0.5
! ps -eo args 2>/dev/null | grep -F -- "--db k.db" | grep -v grep | grep -q tune || fail "a child outlives its parent"
kept=$("$fovea" tune --export - --db k.db | wc -l)
[ "$kept" -ge 5 ] || fail "rows are lost with the process: $kept"
expect 0 "$fovea" tune $spec --budget 10s --db k.db
[ "$(there)" -gt 0 ] || fail "it starts anew after a kill"

# Interrupted: the winner so far is reported and kept.
"$fovea" tune $spec --budget 600s --db i.db >out 2>err &
pid=$!
measured i.db 3
kill -INT $pid
code=0
wait $pid || code=$?
[ $code -eq 0 ] || { cat out err; fail "exit code $code of an interrupted run"; }
says out "stopped; what was found is kept"

# Two at once share a database.
"$fovea" tune $spec --budget 3s --db two.db >one 2>&1 &
pid=$!
expect 0 "$fovea" tune $spec --budget 3s --db two.db
code=0
wait $pid || code=$?
[ $code -eq 0 ] || { cat one; fail "the other of two: exit code $code"; }

# Nothing that is wrong, dies or hangs wins.
FOVEA_TUNE_FAULT=wrong
export FOVEA_TUNE_FAULT
search --db wrong.db
says out "(none: the default)"
says out "wrong:"
grep -E '^\| attend0' out | grep -q ' 0/' || { cat out; fail "a wrong candidate counts as correct"; }
FOVEA_TUNE_FAULT=crash
search --db crash.db
says out "(none: the default)"
says out "runtime: it died of signal"
FOVEA_TUNE_FAULT=hang
expect 0 "$fovea" tune $spec --budget 3s --db hang.db
! grep -q "attend.box" out || { cat out; fail "a candidate that hangs wins"; }
unset FOVEA_TUNE_FAULT

# A poor start is left; one that does not fit is refused with its line.
printf '# a start\nattend0: attend.box tile.m=4\n' >start
search --db s.db --from start
says out "| attend0"
grep -E '^\| attend0' out | grep -qv '| *+[1-9]' || { cat out; fail "worse than the default"; }
"$fovea" show dense --shape b=1,head=1,m=40,kv=1,n=40,d=16 --schedule >start
says_start() { grep -qF "tile.m=" start || fail "show --schedule names no tile"; }
says_start
expect 0 "$fovea" tune $spec --budget 1s --db s2.db --from start
printf 'attend0: tile.m=41\n' >start
expect 1 "$fovea" tune $spec --budget 1s --db b.db --from start
says err "start:1: error[E0401]"
says err "attend0: tile.m is 41: the axis has 40 points"
printf '\nattend0 tile.m=4\n' >start
expect 1 "$fovea" tune $spec --budget 1s --db b.db --from start
says err "start:2: error[E0302]"
printf 'attend0: tiles.m=4\n' >start
expect 1 "$fovea" tune $spec --budget 1s --db b.db --from start
says err "did you mean tile"
printf 'attend7: tile.m=4\n' >start
expect 1 "$fovea" tune $spec --budget 1s --db b.db --from start
says err "no kernel 'attend7'"
says err "attend0"
expect 1 "$fovea" tune $spec --from missing
says err "missing"
for budget in 0 x 5x -3s 1e9; do
    expect 1 "$fovea" tune $spec --budget $budget
    says err "--budget takes a time"
done
expect 1 "$fovea" tune
expect 1 "$fovea" tune dense dense
expect 1 "$fovea" tune nothing-of-this-name
expect 1 "$fovea" tune $spec --threads 0
expect 1 "$fovea" tune $spec --budget 1s --db start/t.db
echo "not a database, though long enough to be looked at as one" >bad.db
expect 1 "$fovea" tune $spec --budget 1s --db bad.db
says err "bad.db"
