# verify: sound libraries pass; whatever is altered, cut, foreign, older or wrong is found and said, and ends nothing else.
. "$(dirname "$0")/kit.sh"
needs "$cc" objcopy ar sha256sum
model=$digits_model
cat >net.lua <<'L'
output("y", gelu(linear(input("x", "n c"), "fc", "c=24")), "n c")
L
expect 0 "$fovea" build $model -o digits
expect 0 "$fovea" verify digits.so --threads 3
for line in "files: digits.so, digits.a, digits.weights" "all of libc, libm and pthreads" "manifest: " \
    "answers: bit for bit" "with 1 to 3 threads" "allocations: " "sharing: " "memory: " "digits.so is sound"; do
    says out "$line"
done
[ "$(sed -n 's/.*"weights": "\([0-9a-f]\{64\}\)".*/\1/p' digits.json)" = "$(sha256sum <digits.weights | cut -d' ' -f1)" ] ||
    fail "the manifest's SHA-256 is not that of sha256sum"

# Weights elsewhere, inside, none, a checkpoint; a spec that has none.
mkdir there && mv digits.weights there/w
expect 0 "$fovea" verify digits.so --weights there/w --threads 1
expect 1 "$fovea" verify digits.so
says err "digits.weights"
mv there/w digits.weights
expect 0 "$fovea" build net.lua --shape n=7,c=12 -o bare
expect 0 "$fovea" verify bare.so
says out "built without weights"
expect 0 "$fovea" run net.lua --shape n=7,c=12 --write-used net.safetensors
expect 0 "$fovea" verify bare.so --weights net.safetensors
expect 1 "$fovea" verify bare.so --weights digits.weights
says err "bare.so: weights: "
expect 0 "$fovea" build net.lua --shape n=7,c=12 --weights net.safetensors --embed -o inside
rm net.safetensors
expect 0 "$fovea" verify inside.so
says out "answers: bit for bit"
expect 0 "$fovea" build neighborhood $small --set kernel=3 -o plain
expect 0 "$fovea" verify plain.so

# Of several levels each that is here is run; one that is not is said to be.
expect 0 "$fovea" build net.lua --shape n=7,c=12 --levels sse2,avx2,avx512 --embed -o levels
expect 0 "$fovea" verify levels.so --threads 2
[ "$(grep -c '^level ' out)" -eq 3 ] || fail "not three levels: $(cat out)"
[ "$(grep -c '^ok  answers: \|^--  not run here' out)" -eq 3 ] || fail "a level is neither run nor refused: $(cat out)"

# Files that are not those of the build. agree: the manifest is made to say that they are, so that what comes next sees them.
copy() { for s in so a json weights; do cp digits.$s bad.$s; done; }
agree() {
    for s in so a weights; do
        sed -i "s/\"$s\": \"[0-9a-f]\{64\}\"/\"$s\": \"$(sha256sum <bad.$s | cut -d' ' -f1)\"/" bad.json
    done
}
wrong() { # TEXT [options]
    text=$1
    shift
    expect 1 "$fovea" verify bad.so --threads 2 "$@"
    says err "$text"
}
for s in so a weights; do
    copy
    printf XYZ | dd of=bad.$s bs=1 seek=9000 conv=notrunc 2>/dev/null
    wrong "bad.$s: not the file that was built"
done
agree
wrong "damaged"
for bytes in 0 10 64 3000 -200; do # the last: all but so many
    copy
    head -c $bytes digits.so >bad.so
    agree
    wrong "bad.so: "
    copy
    head -c $bytes digits.a >bad.a
    agree
    wrong "bad.a: "
    copy
    head -c $bytes digits.weights >bad.weights
    agree
    wrong "bad.weights: "
done
copy
rm bad.json
wrong "bad.json"
echo '{"name": "digits"' >bad.json
wrong "bad.json"
copy
sed -i '/"files": {/,/},/d' bad.json
wrong "an older fovea built this library"
copy
sed -i 's/"arena_bytes": [0-9]*/"arena_bytes": 64/' bad.json
wrong 'says other than the library: "levels"'
copy
expect 0 "$fovea" build net.lua --shape n=7,c=12 --embed -o other
cp inside.so bad.so
agree
wrong "says other than the library"
expect 1 "$fovea" verify digits.a
says err "NAME.so"
expect 1 "$fovea" verify
expect 1 "$fovea" verify nowhere.so
expect 1 "$fovea" verify digits.so --threads 0

# Foreign libraries and older ones.
shared() { expect 0 $cc -std=c11 -shared -fPIC -w -I "$root/runtime" "$@" -o bad.so; }
copy
echo 'int f(void) { return 1; }' >foreign.c
shared foreign.c
agree
wrong "it has no symbol fovea_library"
echo '#include "digits.h"
static const char text[] = "{}";
const fovea_description fovea_library = {1, 72, "digits", text};' >older.c
copy
shared older.c
agree
wrong "an older fovea built it"

# Libraries that do wrong: the build's own object, with one of its functions replaced.
ar x digits.a
cp digits.o whole.o
open_up() { # a function that the library keeps to itself can be replaced
    objcopy --globalize-symbol=$1 whole.o
    objcopy --weaken-symbol=$1 whole.o
}
replaced() { # FUNCTION TEXT, with the function on the standard input; options of verify
    function=$1
    shift
    copy
    cat >part.c
    open_up $function
    shared part.c whole.o -Wl,-Bsymbolic -lpthread -lm
    agree
    wrong "$@"
}
copy
echo 'extern int from_nowhere(void);
int alien(void) { return from_nowhere(); }' >part.c
shared part.c digits.o -Wl,-Bsymbolic -lpthread -lm
agree
wrong "needs from_nowhere"
check='fovea_status fovea_index_check(const fovea_array *a, const void *data, const char *what, fovea_status s, fovea_error *e)'
expect 0 "$fovea" verify digits.so
if grep -q 'they cannot be counted in this build' out; then echo "SKIPPED: allocations are not counted under a sanitizer"
else
    replaced fovea_index_check "allocates: " <<C
#include <stdlib.h>
#include "digits.h"
$check { free(malloc(8)); return FOVEA_OK; }
C
fi
replaced fovea_index_check "memory outside its blocks was touched" <<C
#include "digits.h"
$check { if (a->place == FOVEA_INPUT) ((volatile char *)data)[a->bytes] = 1; return FOVEA_OK; }
C
replaced fovea_index_check "ended by signal" <<C
#include "digits.h"
$check { __builtin_trap(); }
C
replaced fovea_index_check "not done after 1 s" --seconds 1 <<C
#include <unistd.h>
#include "digits.h"
$check { sleep(100); return FOVEA_OK; }
C
replaced fovea_pattern_fill "self-test: output \"logits\": element 0 is" <<'C'
#include "digits.h"
void fovea_pattern_fill(const fovea_array *a, uint64_t seed, void *data) {
    for (int64_t i = 0; i < a->bytes / 4; i++) ((float *)data)[i] = 1;
}
C
# The third run leaves a piece of its work out.
open_up fovea_range_take
replaced fovea_index_check "has other bits than in the first run" <<'C'
#include "pool.h"
static _Atomic int64_t runs;
bool fovea_range_take(fovea_range *r, int64_t *begin, int64_t *end) {
    *begin = r->next++;
    *end = *begin + 1;
    return *begin < r->n && (runs < 3 || *begin % 7);
}
fovea_status fovea_index_check(const fovea_array *a, const void *data, const char *what, fovea_status s, fovea_error *e) {
    if (a->place == FOVEA_INPUT) runs++;
    return FOVEA_OK;
}
C
# A workspace that is declared too small.
objcopy --weaken-symbol=digits_workspace_bytes digits.o
copy
echo '#include "digits.h"
int64_t digits_workspace_bytes(int32_t threads) { return 64; }' >part.c
shared part.c digits.o -Wl,-Bsymbolic -lpthread -lm
agree
wrong "workspace: declared with 64 bytes"
