# run: the backends agree with each other, and a file of what was used gives the same bits again.
. "$(dirname "$0")/kit.sh"
expect 0 "$fovea" run neighborhood $small --set rel_pos_bias=true --set kernel=3 --write-used used.safetensors --output a.npy
expect 0 "$fovea" run neighborhood --set rel_pos_bias=true --set kernel=3 --weights used.safetensors --input used.safetensors --output b.npy
expect 0 cmp a.npy b.npy
expect 0 "$fovea" run neighborhood $small --set rel_pos_bias=true --set kernel=3 --threads 2 --verify --output c.npy
expect 0 cmp a.npy c.npy
expect 0 "$fovea" run neighborhood $small --set rel_pos_bias=true --set kernel=3 --seed 2 --output d.npy
expect 1 cmp a.npy d.npy
expect 0 "$fovea" run neighborhood $small --set kernel=3
says out "F32[1, 2, 9, 10, 8]"
cp out cpu
expect 0 "$fovea" run neighborhood $small --set kernel=3 --backend reference
sed 's/.*min \([-0-9.]\{6\}\).*/\1/' cpu >x
sed 's/.*min \([-0-9.]\{6\}\).*/\1/' out >y
expect 0 cmp x y
# The cost: one line beside the answer; all kernels if asked for; none of it in the answer.
expect 0 "$fovea" run neighborhood $small --set kernel=3
says err "the slowest (--cost shows all):"
grep -qE "attend[0-9]*: [0-9.]+ us(, model [0-9.]+, bound by [a-zA-Z0-9 ]+, without that [0-9.]+ less)?; [0-9.e+]+ products, [0-9.e+]+ exp, [0-9.e+]+ other; MB by level: L1 [0-9.e-]+, L2 [0-9.e-]+, L3 [0-9.e-]+, DRAM [0-9.e-]+\$" err ||
    { cat err >&2; fail "the line of a kernel"; }
cp out plain
expect 0 "$fovea" run neighborhood $small --set kernel=3 --cost
says err "DRAM MB"
cp err costs
cp out costed
expect 0 cmp costed plain
awk '/^total/ { n++; if ($3 <= 0 || $(NF) <= 0) exit 1 } END { exit n != 1 }' costs || { cat costs >&2; fail "the table of --cost"; }

# 16-bit storage that costs more than it may gives way to one that does not, and says so.
cat >offset.lua <<'L'
local x = input("x", "n c")
local big = config.big or 0 -- added, stored, taken away again: what is left is small beside it
local h = (linear(x, "w", "c=64") + big):store()
output("y", linear(h, "v", "c=64") - linear(x * 0 + big, "v", "c=64"), "n c")
L
wide="--shape n=128,c=64"
for bad in x 0 -1 2 ""; do
    expect 1 "$fovea" run offset.lua $wide --dtype bf16 --dtype-error "$bad"
    says err "--dtype-error takes a number above 0"
done
expect 0 "$fovea" show offset.lua $wide --dtype bf16 --plan
grep -q ' bf16\[' out || { echo "SKIPPED: this processor keeps activations in f32"; exit 0; }
expect 0 "$fovea" run offset.lua $wide --output want.npy
expect 0 "$fovea" run offset.lua $wide --dtype bf16 --output sixteen.npy
! grep -q "in its place" err || fail "nothing was to be said: $(cat err)"
expect 1 cmp want.npy sixteen.npy
expect 0 "$fovea" run offset.lua $wide --set big=6 --dtype bf16
says err "above 0.01; f16 in its place (error "
expect 0 "$fovea" run offset.lua $wide --set big=3000 --output want.npy
expect 0 "$fovea" run offset.lua $wide --set big=3000 --dtype bf16 --output wide.npy
says err "above 0.01; f32 in its place (f16: error "
expect 0 cmp want.npy wide.npy
expect 0 "$fovea" run offset.lua $wide --dtype f16 --dtype-error 1e-9
says err "f32 in its place"
expect 0 "$fovea" run offset.lua $wide --set big=3000 --dtype bf16 --dtype-error none
! grep -q "in its place" err || fail "nothing was measured: $(cat err)"
