# check: agrees where it should, names what declines, and notices a wrong number.
. "$(dirname "$0")/kit.sh"
expect 0 "$fovea" check neighborhood $small --set kernel=3 --set rel_pos_bias=true
says out "cpu"
says out "worst o[b="
[ "$(grep -c agrees out)" -ge 2 ] || { cat out >&2; fail "box and offset take a neighbourhood"; }
expect 0 "$fovea" check dense --shape b=1,head=2,m=20,kv=1,n=33,d=16 --set causal=true --rounds 3
says out "declined: "
says out "3 random passes"

# Sums, products and moves of whole numbers must be exact.
cat >exact.lua <<'L'
local x = input("x", "b h w c")
output("y", conv2d(x, "conv", { out = 5, kernel = 3, pad = 1, bias = true }):max"c", "b h w")
L
expect 0 "$fovea" check exact.lua --shape b=1,h=6,w=7,c=4
says out "must be exact"

# In 16-bit storage: within the stated part of the largest element, in both backends; whole numbers stay whole.
for dtype in bf16 f16; do
    expect 0 "$fovea" check neighborhood $small --set kernel=3 --set rel_pos_bias=true --rounds 1 --dtype $dtype
    says out "$dtype: error "
done
cat >sixteen.lua <<'L'
local x = input("x", "b h w c")
output("y", conv2d(gelu(linear(x, "fc", "c=96")), "conv", { out = 32, kernel = 3, pad = 1, bias = true }), "b h w c")
L
expect 0 "$fovea" check sixteen.lua --shape b=2,h=9,w=13,c=48 --rounds 1 --dtype bf16
says out "bf16: error "
expect 0 "$fovea" check sixteen.lua --shape b=2,h=9,w=13,c=48 --rounds 1 --dtype bf16 --target avx2 --backend cpu
expect 0 "$fovea" show sixteen.lua --shape b=2,h=9,w=13,c=48 --dtype bf16 --plan
says out "bf16"
sed '1s/"b h w c")$/"b h w c", nil, { type = "bf16" })/' sixteen.lua >given.lua
expect 0 "$fovea" check given.lua --shape b=1,h=5,w=7,c=17 --rounds 1
expect 0 "$fovea" show given.lua --shape b=1,h=5,w=7,c=17 --plan
says out "input x : bf16"
expect 1 "$fovea" check sixteen.lua --shape b=2,h=9,w=13,c=48 --dtype bf17
says err "f32, bf16, f16"

# What is off by three tolerances is found, and the level is named; what is off by a third of one is not.
FOVEA_CHECK_SPOIL=3
export FOVEA_CHECK_SPOIL
expect 1 "$fovea" check exact.lua --shape b=1,h=6,w=7,c=4
says out "DISAGREES"
says out "interpreted: tile program"
FOVEA_CHECK_SPOIL=0.3
expect 0 "$fovea" check dense --shape b=1,head=1,m=20,kv=1,n=33,d=16 --rounds 1
unset FOVEA_CHECK_SPOIL

# Where f32 cannot say anything, nothing is judged: what overflows, and what one rounding of the input moves too far.
cat >huge.lua <<'L'
local x = input("x", "b h w c")
output("y", (x * 1e15)^3, "b h w c")
L
expect 0 "$fovea" check huge.lua --backend cpu --shape b=1,h=6,w=7,c=4
says out "beyond what f32 is trusted with"
cat >steep.lua <<'L'
local x = input("x", "b h w c")
output("y", sin(exp(x * 6)), "b h w c")
L
expect 0 "$fovea" check steep.lua --backend cpu --shape b=1,h=6,w=7,c=4
says out "not judged: one rounding of every input moves"
expect 1 "$fovea" check steep.lua --backend none --shape b=1,h=6,w=7,c=4
says err "no backend 'none'"
