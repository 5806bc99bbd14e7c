# What docs/tuning.md promises beside the search itself: the budget, the progress on a terminal, and databases that
# cannot be written, with a clear message and nothing lost.
. "$(dirname "$0")/kit.sh"
spec="dense --shape b=1,head=1,m=40,kv=1,n=40,d=16 --threads 1"
records() { "$fovea" tune --export - --db "$1" 2>/dev/null | wc -l; }

# The budget is of the whole command. No speed is judged: a minute more than it is a budget that nobody keeps.
begin=$(date +%s)
expect 0 "$fovea" tune $spec --budget 4s --db budget.db
[ $(($(date +%s) - begin)) -lt 64 ] || fail "a budget of 4 s took $(($(date +%s) - begin)) s"

# A terminal sees how far it is.
if command -v script >/dev/null 2>&1 && script -qec true /dev/null >/dev/null 2>&1; then
    script -qec "'$fovea' tune $spec --budget 4s --db terminal.db" /dev/null >seen 2>&1 </dev/null || true
    tr '\r' '\n' <seen >lines
    grep -q 'of 1 kernels, [0-9]* rows; attend0 [-+][0-9.]* %; the model [-+][0-9.]* % of .* s left; further gain at most [0-9.]* %' lines ||
        { cat lines; fail "no progress with the best so far, the time left and what may be gained"; }
else
    echo "SKIPPED the progress line: no script here"
fi

# A folder that is none, a file that is another's, damage.
expect 1 "$fovea" tune $spec --budget 2s --db /dev/null/t.db
says err "/dev/null/t.db"
head -c 8192 /dev/zero >zeros.db
cp zeros.db before.db
expect 1 "$fovea" tune $spec --budget 2s --db zeros.db
says err "zeros.db"
expect 0 cmp zeros.db before.db
kept=$(records budget.db)
cp budget.db cut.db
rm -f cut.db-*
dd if=/dev/zero of=cut.db bs=1 seek=20 count=3000 conv=notrunc 2>/dev/null
expect 1 "$fovea" tune $spec --budget 2s --db cut.db
says err "cut.db"

# Read-only.
chmod 500 . && chmod 400 budget.db
if touch ./probe 2>/dev/null; then
    rm -f probe
    echo "SKIPPED a read-only database: this user may write anything"
else
    code=0
    "$fovea" tune $spec --budget 2s --db budget.db >/dev/null 2>"$FOVEA_CACHE/err" || code=$?
    [ $code -eq 1 ] && grep -q "budget.db" "$FOVEA_CACHE/err" || fail "a database that may not be written: exit code $code"
fi
chmod 700 . && chmod 600 budget.db
[ "$(records budget.db)" -eq "$kept" ] || fail "rows are lost"

# A full disk: the search ends with a message, and what was written before is there.
cat >full.sh <<P
mount -t tmpfs -o size=192k none "$work/disk" || exit 77
"$fovea" tune $spec --budget 3s --db "$work/disk/t.db" >"$work/out" 2>"$work/err" || exit 78
dd if=/dev/zero of="$work/disk/fill" bs=1k 2>/dev/null
"$fovea" tune --export - --db "$work/disk/t.db" | wc -l >"$work/was"
code=0
"$fovea" tune dense --shape b=1,head=1,m=48,kv=1,n=48,d=16 --threads 1 --budget 20s --db "$work/disk/t.db" >"$work/out" 2>"$work/err" || code=\$?
"$fovea" tune --export - --db "$work/disk/t.db" | wc -l >"$work/now"
exit \$code
P
mkdir -p disk
code=0
unshare -rm sh full.sh 2>mount || code=$?
if [ $code -eq 1 ] && [ -s now ]; then
    says err "no space is left"
    [ "$(cat now)" -ge "$(cat was)" ] || fail "rows are lost with a full disk: $(cat was), then $(cat now)"
    [ "$(cat was)" -ge 1 ] || fail "nothing was written before the disk was full"
elif [ $code -eq 0 ]; then
    cat out err
    fail "a full disk is passed over"
else
    echo "SKIPPED a full disk: no file system of an own here"
fi
