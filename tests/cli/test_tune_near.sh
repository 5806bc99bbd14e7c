# tune: a kernel that was never tuned starts from what was fastest for the nearest one: the same kernel at other extents.
. "$(dirname "$0")/kit.sh"
known="dense --shape b=1,head=1,m=64,kv=1,n=64,d=16 --threads 1"
new="dense --shape b=1,head=1,m=128,kv=1,n=128,d=16 --threads 1"
other="dense --shape b=1,head=1,m=128,kv=1,n=128,d=16 --set causal=true --threads 1"
expect 0 "$fovea" tune $known --no-search --report r.json
text() { sed -n "s/.*\"$1\": \(\"\([^\"\\\\]\|\\\\.\)*\"\).*/\1/p" r.json | head -n 1; }
# line SCHEDULE RATIO: a record of the known kernel.
line() {
    echo "{\"fovea_tune\":1,\"kernel\":\"attend0\",\"schedule\":\"$1\",\"status\":\"correct\",\"reason\":\"\",\"seconds\":0.00001,\"seconds_min\":0.00001,\"default_seconds\":0.00002,\"ratio\":$2,\"predicted\":0.0,\"pairs\":9,\"unix_time\":1700000000,\"origin\":\"search\",\"dtype\":$(text dtype),\"device\":$(text device),\"driver\":$(text driver),\"compiler\":$(text compiler),\"threads\":1,\"group\":$(text group)}"
}
{
    line "attend.box tile.m=24" 0.6
    line "attend.box tile.m=20" 0.5
} >lines
expect 0 "$fovea" tune --import lines
expect 0 "$fovea" tune $new --plan --per-job 1
sed 1q out | grep -qF -- "--try 'attend.box tile.m=20'" || { head -n 3 out; fail "a plan does not start from the nearest"; }
expect 0 "$fovea" tune $other --plan --per-job 1
sed 1q out | grep -qF "tile.m=20" && fail "another kernel is taken for the same"
for budget in 3s 15s 60s; do # more time where others need the machine
    rm -f near.db*
    expect 0 "$fovea" tune --import lines --db near.db
    expect 0 "$fovea" tune $new --budget $budget --db near.db
    expect 0 "$fovea" tune --export records --db near.db
    ! grep -q '"origin":"from"' records || break
done
grep '"origin":"from"' records | grep -qF '"schedule":"attend.box tile.m=20"' || { cut -c 1-200 records; fail "a search does not start from the nearest"; }
# What fits nothing here is no start.
sed 's/tile.m=20/tile.nothing=20/' lines >misfit
expect 0 "$fovea" tune --import misfit --db misfit.db
expect 0 "$fovea" tune $new --budget 2s --db misfit.db
expect 0 "$fovea" tune --export records --db misfit.db
grep -q '"origin":"from"' records && fail "a schedule that does not fit was a start"
exit 0
