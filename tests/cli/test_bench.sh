# bench: reports are well-formed in every form; the floors have their lines. No speed is judged here.
. "$(dirname "$0")/kit.sh"
spec="neighborhood $small --set kernel=3 --seconds 0.02 --threads 1"
expect 0 "$fovea" bench $spec
says out "| total"
expect 0 "$fovea" bench $spec -o csv
[ "$(head -n 1 out | tr ',' '\n' | wc -l)" -eq 10 ] || fail "csv: $(head -n 1 out)"
awk -F, 'NF != 10 { exit 1 }' out || fail "csv rows"
expect 0 "$fovea" bench $spec --json
cp out report.json
# The program's own JSON reader judges the report: as a configuration it has to parse before its keys are looked at.
expect 1 "$fovea" run neighborhood $small --config report.json --set nothing=1
says err "E0110"
expect 0 "$fovea" devices
says out "reference"
expect 0 "$fovea" doctor
says out "will be used"
grep -q '"model_us": [0-9.]*, "bound": "[a-zA-Z0-9 ]*"' report.json || fail "the model's time in the report"
expect 0 "$fovea" bench cost --seconds 0.005
says out "median error of"
[ "$(grep -c ' kernels .* model ' out)" -eq 10 ] || { cat out >&2; fail "ten cases of the cost model"; }
code=0
"$fovea" bench floors --seconds 0.005 >out 2>err || code=$?
[ $code -le 1 ] || fail "floors: $code"
[ "$(grep -cE 'holds|SHORT|not judged' out)" -ge 13 ] || { cat out err >&2; fail "thirteen floors"; }
! grep -q SHORT out || [ $code -eq 1 ] || fail "a short floor gives exit code 1"
code=0
"$fovea" bench amx --seconds 0.003 >amx 2>err || code=$?
[ $code -le 1 ] || fail "amx: $code"
[ "$(grep -cE 'GF/s.*(holds|SHORT|not judged)' amx)" -eq 14 ] || { cat amx err >&2; fail "fourteen kernels in 16 bit"; }
! grep -q SHORT amx || [ $code -eq 1 ] || fail "a short floor of amx gives exit code 1"
