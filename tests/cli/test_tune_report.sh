# tune --report: the numbers of the page, of the table and of the JSON are those of the database, and the page renders
# in a browser that may load nothing.
. "$(dirname "$0")/kit.sh"
spec="neighborhood --shape b=1,head=2,h=28,w=28,d=32"
# Records of the attention kernel, made of what the report says of it while there are none.
expect 0 "$fovea" tune $spec --no-search --report empty.json
says out "empty.json: 1 kernels, 0 records"
text() { sed -n "s/.*\"$1\": \(\"\([^\"\\\\]\|\\\\.\)*\"\).*/\1/p" empty.json | head -n 1; }
threads=$(sed -n 's/.*"threads": \([0-9]*\).*/\1/p' empty.json)
# line SCHEDULE STATUS REASON SECONDS RATIO TIME
line() {
    echo "{\"fovea_tune\":1,\"kernel\":\"attend\",\"schedule\":\"$1\",\"status\":\"$2\",\"reason\":\"$3\",\"seconds\":$4,\"seconds_min\":$4,\"default_seconds\":0.0002,\"ratio\":$5,\"predicted\":0.0001,\"pairs\":9,\"unix_time\":$6,\"origin\":\"search\",\"dtype\":$(text dtype),\"device\":$(text device),\"driver\":$(text driver),\"compiler\":$(text compiler),\"threads\":$threads,\"group\":$(text group)}"
}
{
    line "attend.offset tile.h=4" correct "" 0.0002012345 1.0061725 1700000000
    line "attend.offset tile.h=2" correct "" 0.0001512345 0.7561725 1700000001
    line "attend.offset tile.h=1" correct "" 0.0003012345 1.5061725 1700000002
    line "attend.offset tile.h=99" declined "tile.h is 99: <the axis> has \\\"28\\\" points" 0.0 0.0 1700000003
    line "attend.offset tile.w=8" timeout "more than 3 s" 0.0 0.0 1700000004
} >lines
expect 0 "$fovea" tune --import lines
says out "5 records added"

# They are used, and what they make is right.
expect 0 "$fovea" run $spec
says err "tuned: 1 of 3 kernels, $work/cache/tune.db"
expect 0 "$fovea" run $spec --no-tuned
grep -q tuned: err && fail "--no-tuned uses records"
expect 0 "$fovea" show $spec --schedule
expect 0 "$fovea" check $spec --backend cpu --rounds 1
says out ", tuned"
says err "tuned: 1 of 3 kernels"
expect 0 "$fovea" bench $spec --seconds 0.01
says err "tuned: 1 of 3 kernels"
expect 0 "$fovea" compile $spec -o lib
says err "tuned: 1 of 3 kernels"

expect 0 "$fovea" tune $spec --no-search --report page.html
says out "page.html: 1 kernels, 5 records"
expect 0 "$fovea" tune $spec --no-search --report page.md
expect 0 "$fovea" tune $spec --no-search --report page.json
expect 1 "$fovea" tune $spec --no-search --report page.pdf
says err ".html, .md or .json"
expect 1 "$fovea" tune $spec --no-search --report nowhere/page.html

# Microseconds of the correct ones, by way of the records themselves.
expect 0 "$fovea" tune --export exported
sed -n 's/.*"status":"correct".*"seconds":\([-+.e0-9]*\),.*/\1/p' exported |
    awk '{ printf "%.3f\n", 1e6 * $1 }' | sort >want
[ "$(wc -l <want)" -eq 3 ] || fail "the export"
sed -n 's/.*"status": "correct".*"seconds": \([-+.e0-9]*\),.*/\1/p' page.json |
    awk '{ printf "%.3f\n", 1e6 * $1 }' | sort >got
expect 0 cmp want got
awk -F'|' '$3 == " correct " { print $4 + 0 }' page.md | awk '{ printf "%.3f\n", $1 }' | sort >got
expect 0 cmp want got
grep -q 'https\{0,1\}://' page.html && { grep -v 'xmlns="http://www.w3.org/2000/svg"' page.html | grep -q 'https\{0,1\}://' && fail "the page loads something"; }

browser=
for b in chromium chromium-browser google-chrome; do
    command -v $b >/dev/null 2>&1 && { browser=$b; break; }
done
if [ -z "$browser" ]; then
    echo "SKIPPED the page in a browser: there is no chromium here"
    exit 0
fi
page() { HOME=$work timeout 120 $browser --headless --no-sandbox --disable-gpu --disable-dev-shm-usage "$@" "file://$work/page.html" 2>chromium.err; }
page --dump-dom >dom || { cat chromium.err >&2; fail "the page does not render"; }
grep -o '<td class="n us">[0-9][0-9.]*</td>' dom | sed 's/[^>]*>\([^<]*\)<.*/\1/' | sort >got
expect 0 cmp want got
# The winner, the default beside it, its ratio; one circle per correct candidate, one cross per failed one.
grep -q '<td class="n tuned">151.234</td><td class="n ratio">0.7562</td>' dom || fail "the winner"
grep -q '<td class="n plain">200.000</td>' dom || fail "the default"
[ "$(grep -c '<circle class="tried"' dom)" -eq 3 ] || fail "circles"
[ "$(grep -c '<path class="failed"' dom)" -eq 2 ] || fail "crosses"
grep -q 'tile.h is 99: &lt;the axis&gt; has "28" points' dom || fail "the reason of a decline"
grep -q '<svg class="roofs"' dom || fail "the roofs"
grep -q '<rect class="block"' dom || fail "the pattern's blocks"
page --screenshot="$work/shot.png" --window-size=1200,1600 >/dev/null
[ "$(wc -c <shot.png)" -gt 20000 ] || fail "the page is blank"
