# tune --backend opencl: the process that searches calls no driver; what a driver does to a candidate is a record; a
# device that is gone ends the search with what it has; records are used. The fake driver computes nothing and takes
# equal times, so nothing wins there.
. "$(dirname "$0")/kit.sh"
fake=$(dirname "$fovea")/libfake_opencl_driver.so
if ! "$fovea" devices --no-probes | grep -q '^opencl '; then
    echo "SKIPPED: this build has no OpenCL"
    exit 0
fi
spec="dense --shape b=1,head=1,m=40,kv=1,n=40,d=16 --backend opencl"
rows() { sed -n 's/.* \([0-9]*\) rows written.*/\1/p' "$work/out"; }
records() { "$fovea" tune --export - --db "$1" 2>/dev/null | wc -l; }

fake_tests() {
    FOVEA_OPENCL_LIBRARY=$fake
    FAKE_CL_LOG=$work/asked
    export FOVEA_OPENCL_LIBRARY FAKE_CL_LOG
    # A whole search: ends by itself, since nothing is faster.
    "$fovea" tune $spec --budget 60s --db a.db >out 2>err &
    pid=$!
    code=0
    wait $pid || code=$?
    [ $code -eq 0 ] || { cat out err; fail "exit code $code of a search"; }
    says out "dense on opencl, 1 lane, Fake device:"
    says out "(none: the default)"
    [ "$(rows)" -gt 5 ] || { cat out; fail "rows of a search: $(rows)"; }
    [ -s asked ] || fail "nobody asked the driver"
    grep -qx $pid asked && fail "the parent called the driver"
    "$fovea" tune --export - --db a.db >a.jsonl
    grep -q '"driver":"Fake platform 1.0"' a.jsonl || fail "the key lacks the driver"
    grep -q '"schedule":"[^"]*group=' a.jsonl || fail "no candidate of another group"
    grep -q '"schedule":"[^"]*item=' a.jsonl || fail "no candidate of other items"
    grep -q '"schedule":"[^"]*nest' a.jsonl && fail "candidates of fields that items do not read"
    grep -q '"status":"declined"' a.jsonl || fail "nothing is pruned with a reason"
    sed 's/.*"schedule":"\([^"]*\)".*/\1/' a.jsonl | sort | uniq -d >twice
    [ ! -s twice ] || { cat twice; fail "measured twice"; }
    expect 0 "$fovea" tune $spec --budget 20s --db a.db --resume
    [ "$(records a.db)" -ge "$(wc -l <a.jsonl)" ] || fail "rows are lost"
    grep -q "beside $(wc -l <a.jsonl) that were there" out || grep -q "beside [1-9]" out || { cat out; fail "it starts anew"; }
    expect 0 "$fovea" tune $spec --no-search --db a.db --report page.json
    says out "page.json: 1 kernels"
    # Another driver: other records.
    FAKE_CL_VERSION=2.0
    export FAKE_CL_VERSION
    expect 0 "$fovea" tune $spec --budget 1s --db a.db
    says out "beside 0 that were there"
    unset FAKE_CL_VERSION

    # A record of a faster schedule is used by all who compile for the device, and said.
    schedule=$(grep '"status":"correct"' a.jsonl | sed 's/.*"schedule":"\([^"]*\)".*/\1/' | grep . | head -n 1)
    grep -F "\"schedule\":\"$schedule\"" a.jsonl | head -n 1 | sed 's/"ratio":[^,]*,/"ratio":0.5,/' >fast.jsonl
    expect 0 "$fovea" tune --import fast.jsonl --db fast.db
    for command in run "bench --seconds 0.05" check "show --schedule"; do
        "$fovea" $command $spec --db fast.db >out 2>err || true # check: the fake driver's answers are wrong
        says err "tuned: 1 of "
    done
    says out "$(echo "$schedule" | tr ' ' '\n' | tail -n 1)"
    expect 0 "$fovea" run $spec --db fast.db --opencl-shape cpu8
    grep -q tuned err && fail "records of another shape were used"

    # Jobs.
    expect 0 "$fovea" tune $spec --plan --per-job 2
    says err "for opencl, 1 lane, Fake device"
    grep -q -- "--backend opencl" out || fail "a line without its backend"
    sed -n '1{s/^fovea/"$fovea"/;p;}' out >line
    code=0
    . ./line >records.jsonl 2>err || code=$?
    [ $code -eq 0 ] && [ "$(wc -l <records.jsonl)" -eq 2 ] || { cat records.jsonl err; fail "a job: exit code $code"; }
    expect 0 "$fovea" tune --import records.jsonl
    says out "2 records added"

    # A driver that ends the process for some sources: records, and the search goes on.
    FAKE_CL_CRASH='reqd_work_group_size(16'
    export FAKE_CL_CRASH
    expect 0 "$fovea" tune $spec --budget 60s --db crash.db
    unset FAKE_CL_CRASH
    "$fovea" tune --export - --db crash.db >crash.jsonl
    grep 'group=16"' crash.jsonl | grep -q '"status":"runtime"' || { cat out; fail "a crash is no record"; }
    grep -q '"status":"correct"' crash.jsonl || fail "the search ends with a crash"
    grep 'group=16"' crash.jsonl | grep -q 'signal' || fail "the reason lacks the signal"
    says out "(none: the default)"

    # A device that goes away while it is searched.
    FAKE_CL_FAIL=vanish FAKE_CL_WHEN=$work/gone
    export FAKE_CL_FAIL FAKE_CL_WHEN
    "$fovea" tune $spec --budget 600s --db gone.db >out 2>err &
    pid=$!
    i=0
    while [ "$(records gone.db)" -lt 4 ] && [ $i -lt 120 ]; do
        i=$((i + 1))
        sleep 0.2
    done
    touch gone
    code=0
    wait $pid || code=$?
    kept=$(records gone.db)
    [ "$kept" -ge 4 ] || fail "rows are lost with the device: $kept"
    if [ $code -ne 0 ]; then
        [ $code -eq 1 ] || { cat out err; fail "exit code $code when the device goes"; }
        says err "does not run by default any more"
        says err "gone.db"
        says out "| attend0"
    else # it was through before
        says out "(none: the default)"
    fi
    # Gone from the start.
    expect 1 "$fovea" tune $spec --budget 5s --db none.db
    says err "not available"
    rm gone
    # Back: the search goes on where it ended.
    expect 0 "$fovea" tune $spec --budget 20s --db gone.db
    grep -q "beside [1-9]" out || { cat out; fail "it starts anew when the device is back"; }
    # A queue without times.
    FAKE_CL_FAIL=profiling
    touch gone
    expect 0 "$fovea" tune $spec --budget 3s --db clock.db
    "$fovea" tune --export - --db clock.db | grep '"origin":"search"' | grep '"status":"correct"' | head -n 1 >one
    grep -q '"seconds":0.0,' one && fail "no times without profiling"
    unset FAKE_CL_FAIL FAKE_CL_WHEN FAKE_CL_LOG FOVEA_OPENCL_LIBRARY
}
if [ -f "$fake" ]; then fake_tests; else echo "SKIPPED the fake driver: it is not built"; fi

# Mistakes.
FOVEA_OPENCL_LIBRARY= expect 1 "$fovea" tune $spec --budget 1s
says err "OpenCL"
if ! "$fovea" devices --no-probes | grep -q '^opencl  *here'; then
    echo "SKIPPED the rest: no OpenCL device here"
    exit 0
fi
expect 1 "$fovea" tune $spec --budget 1s --device toaster
says err "there is no device 'toaster'"

# A device: both shapes are compiled, compared and timed; what is wrong does not win.
tiny="dense --shape b=1,head=1,m=16,kv=1,n=16,d=8 --backend opencl"
search() { # DB OPTION…: until a candidate was tried, however slow the driver's compiler is
    db=$1
    shift
    for budget in 6s 25s 60s; do
        expect 0 "$fovea" tune $tiny --budget $budget --db $db "$@"
        grep -qE '^\| attend0 .*/ *[1-9][0-9]* \|' out && return 0
    done
    cat out
    fail "nothing is tried in 60 s"
}
for shape in scalar cpu; do
    search $shape.db --opencl-shape $shape
    grep -E '^\| attend0' out | grep -qE '\|  *[+-]0\.0% \||\|  *-[0-9.]+% \|' || { cat out; fail "a winner that is slower"; }
done
FOVEA_TUNE_FAULT=wrong
export FOVEA_TUNE_FAULT
search wrong.db --opencl-shape scalar
says out "(none: the default)"
says out "wrong:"
FOVEA_TUNE_FAULT=crash
search crashed.db --opencl-shape scalar
says out "(none: the default)"
says out "runtime: it died of signal"
