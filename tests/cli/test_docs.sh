# Every command and every option of the program is in docs/cli.md, in the command's own section or among those of all specs; and nothing else is.
. "$(dirname "$0")/kit.sh"
doc=$root/docs/cli.md
# What a build leaves out is documented all the same.
left_out=^never
"$fovea" run --help | grep -q -- --opencl-shape || left_out=OpenCL
section() { sed -n "/^## $1\$/,/^## /p" "$doc"; }

commands=$("$fovea" --help | sed -n 's/^  fovea \([a-z]*\) .*/\1/p')
[ "$(echo "$commands" | wc -w)" -eq 12 ] || fail "commands: $commands"
count=0
for c in $commands; do
    section "fovea $c" >own
    [ -s own ] || fail "docs/cli.md has no section 'fovea $c'"
    section "What a spec is given" >common
    "$fovea" "$c" --help | sed -n 's/^  \(--*[a-z-]*\) .*/\1/p' >options
    while read -r o; do
        count=$((count + 1))
        grep -qE -- "^\| \`$o[\` ]" own common || fail "docs/cli.md: 'fovea $c' lacks $o"
    done <options
    grep -v "$left_out" own | sed -n 's/^| `\(--*[a-z-]*\).*/\1/p' >documented
    while read -r o; do grep -qx -- "$o" options || fail "docs/cli.md: 'fovea $c' has no option $o"; done <documented
done
[ "$count" -gt 50 ] || fail "only $count options were found"
