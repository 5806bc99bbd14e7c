# Pictures that become pictures: any size, whole or in tiles; what cannot be is refused, and nothing is half-written.
. "$(dirname "$0")/kit.sh"
tiny="--set depths=[1] --set num_heads=[2] --set embed_dim=24 --set compress_ratio=3 --set squeeze_factor=4"
cat >grow.lua <<'END'
local m = 4
local x = input("input", "b c h w", { c = 3 }, { default = { b = 1, h = 8, w = 8 } })
local H, W, y = x.h, x.w, x
if H % m + W % m > 0 then y = x:pad{ h = {0, -H % m}, w = {0, -W % m}, border = "reflect" } end
y = conv2d(y, "up", { out = 12, kernel = 3 })
y = y:split("c = c dy dx", { dy = 2, dx = 2 }):merge"h = h dy, w = w dx":store()
preprocess{ mean = { 0, 0, 0 }, std = { 1, 1, 1 }, fit = config.fit or "own", answer = "big",
  tile = { size = config.tile or 0, pad = config.tile_pad or m, multiple = m } }
output("big", y:slice{ h = {0, 2 * H}, w = {0, 2 * W} }, "b c h w")
END

# From numbers to a picture of 33 x 27, from that to numbers, and to a picture that is read back.
expect 0 "$fovea" run hat:s_x3 $tiny --shape h=9,w=11 --output p.png
expect 0 "$fovea" run hat:s_x2 $tiny --input p.png
says out "F32[1, 3, 54, 66]"
expect 0 "$fovea" run hat:s_x2 $tiny --input p.png --output a.npy
expect 0 "$fovea" run hat:s_x2 $tiny --input p.png --output a.safetensors
expect 0 "$fovea" run hat:s_x2 $tiny --input p.png --output a.png
expect 0 "$fovea" run grow.lua --input a.png
says out "F32[1, 3, 108, 132]"

# One tile larger than the picture is the picture: the border is reflected alike. Smaller tiles are others.
expect 0 "$fovea" run hat:s_x2 $tiny --input p.png --set tile=64 --output b.npy
expect 0 cmp a.npy b.npy
expect 0 "$fovea" run hat:s_x2 $tiny --input p.png --set tile=16 --set tile_pad=16 --output b.png
expect 1 cmp a.png b.png

# Where the overlap covers what an answer sees, tiles make no difference.
expect 0 "$fovea" run grow.lua --input a.png --output c.npy
for tile in 4 12 52 64; do
    expect 0 "$fovea" run grow.lua --input a.png --set tile=$tile --output d.npy
    expect 0 cmp c.npy d.npy
done
expect 0 "$fovea" run grow.lua --input a.png --set tile=12 --set tile_pad=0 --output d.npy
expect 1 cmp c.npy d.npy

# refused CODE TEXT ARGUMENTS…: nothing is written.
refused() {
    number=$1 text=$2
    shift 2
    expect 1 "$fovea" run "$@" --output no.png
    says err "$number"
    says err "$text"
    [ ! -e no.png ] || fail "no.png was written"
}
refused E0305 "neither PNG nor JPEG" grow.lua --input grow.lua
refused E0301 "missing.png" grow.lua --input missing.png
refused E0601 "one picture at a time" grow.lua --input a.png p.png
refused E0601 "the picture says that extent" grow.lua --input a.png --shape h=24
refused E0110 "multiples of 16" hat:s_x2 $tiny --input p.png --set tile=20
refused E0110 "multiples of 4" grow.lua --input a.png --set tile=8 --set tile_pad=3
refused E0110 "go together" grow.lua --input a.png --set fit=crop
refused E0110 'fit is "crop", "squash" or "own"' grow.lua --input a.png --set fit=none
refused E0604 "takes tensors" grow.lua --input a.png --backend reference
refused E0601 "does not answer with a picture" neighborhood $small
expect 1 "$fovea" run grow.lua --input a.png --output no.gif
says err "has to end with .npy"
[ ! -e no.gif ] || fail "no.gif was written"
expect 1 "$fovea" run grow.lua --input a.png --output nowhere/no.png
says err "E0301"

# --shape is about axes that inputs have.
expect 1 "$fovea" run grow.lua --shape hh=3
says err "there are b, c, h, w; the nearest is h"
expect 1 "$fovea" run grow.lua --shape c=4
says err "has the extent 3"
expect 0 "$fovea" run grow.lua --shape h=3,w=9 --shape h=5 --output e.png
