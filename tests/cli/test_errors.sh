# Mistakes end with exit code 1, a code and the nearest names; nothing is half-written.
. "$(dirname "$0")/kit.sh"
expect 1 "$fovea"
expect 0 "$fovea" --help
expect 0 "$fovea" --version
expect 1 "$fovea" shows
says err "the nearest is show"
expect 1 "$fovea" run
says err "E0601"
expect 1 "$fovea" run neighborhod $small
says err "the nearest is neighborhood"
expect 1 "$fovea" run neighborhood --shpe b=1
says err "the nearest is --shape"
expect 1 "$fovea" run neighborhood --shape b
says err "E0601"
expect 1 "$fovea" run neighborhood --shape b=0
expect 1 "$fovea" run neighborhood --threads none $small
says err "whole number"
expect 1 "$fovea" run neighborhood --set kernal=3 $small
says err "kernel"
expect 1 "$fovea" run missing.lua
says err "E0301"
expect 1 "$fovea" run neighborhood --weights missing.safetensors $small
says err "E0301"
head -c 100 /dev/urandom >noise.safetensors
expect 1 "$fovea" run neighborhood --weights noise.safetensors $small
says err "E0302"
expect 1 "$fovea" run neighborhood $small --input noise.png
expect 1 "$fovea" run neighborhood $small --output nowhere/x.safetensors
says err "E0301"
expect 1 "$fovea" run neighborhood $small --backend vulkan
says err "E0604"
expect 1 "$fovea" run neighborhood $small --attend diagonal
says err "box, offset, expand"
expect 1 "$fovea" show neighborhood $small --kernel --launch 999
says err "launches 0 to"
expect 1 "$fovea" show neighborhood $small --pattern --query h=99
says err "axes of this attend"
expect 1 "$fovea" show neighborhood $small --pattern -o picture.gif
expect 1 "$fovea" bench neighborhood $small -o xml
expect 1 "$fovea" check dense --attend box
says err "no option"

# Weights of another model: all that does not fit is listed.
expect 1 "$fovea" run nat:mini --shape b=1 --weights "$root/tests/data/digits/dinat_digits.safetensors"
says err "E0303"
says err "must have shape"
says err "missing"

# An internal invariant of the shell: failed commands left no file behind.
for f in nowhere picture.gif; do [ ! -e $f ] || fail "$f was written"; done
expect 0 "$fovea" explain
for c in $(cut -c2-5 out); do expect 0 "$fovea" explain "E$c"; says out "for example"; done
expect 1 "$fovea" explain E9999
says err "E0602"
