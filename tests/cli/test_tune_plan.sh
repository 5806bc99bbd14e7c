# tune --plan and --job: lines that do not depend on each other, run by GNU parallel as docs/tuning.md has it; their
# records, merged, are what run uses, and a plan made after them has other candidates.
. "$(dirname "$0")/kit.sh"
PATH=$(dirname "$fovea"):$PATH
export PATH
spec="dense --shape b=1,head=1,m=40,kv=1,n=40,d=16 --threads 1"
expect 0 fovea tune $spec --plan --per-job 2
says err "candidates of 1 kernels"
cp out all.txt
grep -qvE "^fovea tune dense --shape b=1,head=1,m=40,kv=1,n=40,d=16 --threads 1 --job [0-9a-f]{16}( --try [^ ]+| --try '[^']+'){1,2}\$" all.txt &&
    { cat all.txt; fail "a line of the plan"; }
expect 0 fovea tune $spec --plan --per-job 2
cp out again.txt
expect 0 cmp again.txt all.txt
head -n 2 all.txt >plan.txt
if command -v parallel >/dev/null 2>&1; then
    HOME=$work expect 0 parallel --will-cite --jobs 1 --joblog joblog --retries 2 <plan.txt
    [ "$(sed 1d joblog | wc -l)" -eq 2 ] || fail "the log of jobs"
else
    echo "SKIPPED GNU parallel: it is not here; the lines are run by the shell"
    expect 0 sh plan.txt
fi
cp out records.jsonl
[ "$(wc -l <records.jsonl)" -eq 4 ] || { cat records.jsonl err; fail "one record per candidate"; }
expect 0 fovea tune --import records.jsonl
says out "4 records added"
expect 0 fovea tune --import records.jsonl
says out "0 records added, 4 known"
# Every candidate of these lines has a record now: no later plan asks for one of them again.
expect 0 fovea tune $spec --plan --per-job 1
cp out later.txt
for t in $(grep -o "\"schedule\":\"[^\"]*\"" records.jsonl | sed 's/"schedule":"\(.*\)"/\1/; s/ /@/g'); do
    ! grep -qE -- "--try '?$(echo "$t" | sed 's/@/ /g; s/[.*]/\\&/g')'?\$" later.txt || fail "asked again: $t"
done
# Records made elsewhere count as those made here: the database of a search and a report hold them.
expect 0 fovea tune $spec --no-search --report page.json
says out "page.json: 1 kernels, 4 records"

# Words of the shell.
expect 0 fovea tune dense --shape "b=1,head=1,m=8,kv=1,n=8,d=8" --set "causal=true" --plan
says out "--set causal=true"
says out "--threads "

# Mistakes.
job="--job $(sed -n '1s/.*--job \([0-9a-f]*\) .*/\1/p' all.txt)"
expect 1 fovea tune $spec $job
says err "give at least one"
expect 1 fovea tune $spec $job --try "tile.m ="
says err "--try"
expect 1 fovea tune $spec --job 0123456789abcdef --try "tile.m=8"
says err "no kernel 0123456789abcdef here"
says err "the kernels are attend0 "
expect 1 fovea tune $spec --plan $job --try "tile.m=8"
says err "give one of them"
expect 1 fovea tune $spec --try "tile.m=8"
says err "candidates of a --job"
expect 1 fovea tune --plan
says err "one spec"
expect 1 fovea tune $spec --plan --per-job 0
# What does not fit is a record with its reason, not an error.
expect 0 fovea tune $spec $job --try "tile.nothing=3"
says out '"status":"declined"'
says out "tile.nothing"
