# tune: records go out as JSON lines and come back the same; what is no record changes nothing.
. "$(dirname "$0")/kit.sh"
cat >lines <<'P'
{"fovea_tune":1,"kernel":"k","schedule":"tile.q=4","status":"correct","reason":"","seconds":0.5,"seconds_min":0.25,"default_seconds":1.0,"ratio":0.5,"predicted":0.125,"pairs":9,"unix_time":1700000000,"origin":"search","dtype":"f32","device":"cpu","driver":"","compiler":"none","threads":2,"group":"kernel k {}"}
{"fovea_tune":1,"kernel":"k","schedule":"tile.q=8","status":"timeout","reason":"more than 3 s","seconds":0.0,"seconds_min":0.0,"default_seconds":1.0,"ratio":0.0,"predicted":0.125,"pairs":0,"unix_time":1700000001,"origin":"search","dtype":"f32","device":"cpu","driver":"","compiler":"none","threads":2,"group":"kernel k {}"}
P
expect 0 "$fovea" tune --import lines
says out "lines: 2 records added, 0 known already"
expect 0 "$fovea" tune --import lines
says out "0 records added, 2 known already"
expect 0 "$fovea" tune --export -
cp out exported
expect 0 cmp exported lines
expect 0 "$fovea" tune --export again --db cache/tune.db
expect 0 cmp again lines
expect 0 "$fovea" tune --import - --export third --db other/folder/t.db <lines
says out "standard input: 2 records"
expect 0 cmp third lines
{ cat lines; echo '{"fovea_tune":1,"kernel":'; } >broken
expect 1 "$fovea" tune --import broken --db third.db
says err "broken:3:"
expect 0 "$fovea" tune --export - --db third.db
[ ! -s out ] || fail "a broken file was half taken"
expect 1 "$fovea" tune --import none
says err "none"
expect 1 "$fovea" tune --export - --db absent.db
says err "there is no database absent.db"
expect 1 "$fovea" tune --export - --db lines
says err "no database of tuning records"
expect 1 "$fovea" tune
expect 1 "$fovea" tune neighborhood --export -
says err "take no spec"

# Commands that compile: a database that is named has to be one; damage in that of the cache is said and passed over.
expect 1 "$fovea" run neighborhood $small --db absent.db
says err "there is no database absent.db"
expect 1 "$fovea" run neighborhood $small --db third.db --no-tuned
says err "give one of them"
expect 0 "$fovea" run neighborhood $small --db third.db
grep -q tuned err && fail "records that are for nothing here were used"
cp out plain
head -c 3000 /dev/zero | tr '\0' x >cache/tune.db
expect 0 "$fovea" run neighborhood $small
cp out costed
says err "not tuned: "
expect 0 cmp costed plain
expect 1 "$fovea" check neighborhood $small --db cache/tune.db
says err "no database of tuning records"
