# build: a library with its weights. A program that knows nothing but the header classifies digits with it; weights that
# are cut, damaged or another model's are refused.
. "$(dirname "$0")/kit.sh"
needs "$cc" objcopy ar

cp "$root/tests/cli/classify.c" .
model=$digits_model
expect 0 "$fovea" build $model -o digits
for tail in a so h pc json weights; do [ -s digits.$tail ] || fail "digits.$tail is missing"; done
expect 0 $cc -std=c11 -Wall -Wextra -Werror classify.c digits.a -lpthread -lm -o classify
expect 0 ./classify "$digits/expect.safetensors" digits.weights
labels=$(digits_labels)
says out "$labels"
expect 0 $cc -std=c11 classify.c ./digits.so -lpthread -lm -o classify_shared
LD_LIBRARY_PATH=. expect 0 ./classify_shared "$digits/expect.safetensors" digits.weights
size=$(wc -c <digits.so)
[ "$size" -lt 300000 ] || fail "digits.so has $size bytes without weights"

# The largest of the backbones' libraries: kernels that hardly matter are made smaller. Of digits too, if so little is
# asked, and it answers the same.
expect 0 "$fovea" build overlock:xt --shape b=1 -o overlock
size=$(wc -c <overlock.so)
[ "$size" -lt 300000 ] || fail "overlock.so has $size bytes without weights"
mkdir small
expect 0 "$fovea" build $model --code-kb 1 -o small/digits
[ "$(wc -c <small/digits.so)" -lt "$(wc -c <digits.so)" ] || fail "--code-kb made nothing smaller"
LD_LIBRARY_PATH=small expect 0 ./classify_shared "$digits/expect.safetensors" small/digits.weights
says out "$labels"
expect 1 "$fovea" build $model --code-kb x -o small/digits
says err "--code-kb takes a whole number"

# Weights that cannot be: each is said, none is used.
weights() {
    expect 1 ./classify "$digits/expect.safetensors" "$1"
    says err "$2"
}
head -c 100000 digits.weights >cut.weights
weights cut.weights "it is cut"
head -c 20 digits.weights >short.weights
weights short.weights "not an image of weights"
weights nowhere "cannot be opened"
weights classify.c "not an image of weights"
{ head -c 300000 digits.weights; printf x; tail -c +300002 digits.weights; } >bad.weights
cmp -s bad.weights digits.weights && fail "the byte was x already"
weights bad.weights "damaged"
cat >net.lua <<'L'
output("y", gelu(linear(input("x", "n c"), "fc", "c=24")), "n c")
L
expect 0 "$fovea" run net.lua --shape n=7,c=12 --write-used net.safetensors
expect 0 "$fovea" build net.lua --shape n=7,c=12 --weights net.safetensors -o net
weights net.weights "weights of another model"
expect 1 ./classify "$digits/expect.safetensors"
says err "built without weights inside"

# A program that opens libraries while it runs and knows no name of theirs.
cat >host.c <<'C'
#include <dlfcn.h>
#include <stdio.h>
#include "digits.h"
int main(int argc, char **argv) { /* pairs: library, weights */
    for (int i = 1; i + 1 < argc; i += 2) {
        void *file = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
        const fovea_description *d = file ? dlsym(file, "fovea_library") : NULL;
        fovea_model *m = NULL;
        fovea_error e;
        if (!d || d->version != FOVEA_LIBRARY_VERSION || d->bytes != sizeof *d) return fprintf(stderr, "%s\n", dlerror()), 2;
        if (d->open(argv[i + 1], NULL, &m, &e)) return fprintf(stderr, "%s\n", e.text), 1;
        printf("%s %s %d\n", d->name, d->program()->name, d->manifest[0] == '{');
        d->dispose(m);
    }
    return 0;
}
C
expect 0 $cc -std=gnu11 -Wall -Wextra -Werror host.c -ldl -o host
expect 0 ./host ./digits.so digits.weights ./net.so net.weights
says out "digits dinat 1"
says out "net net 1"
expect 1 ./host ./net.so digits.weights
says err "weights of another model"

# Weights inside; weights not at all.
expect 0 "$fovea" build $model --embed -o digits
rm digits.weights
expect 0 $cc -std=c11 classify.c digits.a -lpthread -lm -o classify
expect 0 ./classify "$digits/expect.safetensors"
says out "$labels"
expect 0 "$fovea" build net.lua --shape n=7,c=12 -o bare
[ ! -e bare.weights ] || fail "weights were made up"
grep -q "bare_bind" bare.h || fail "bare.h has no bind"

# docs/deploy.md, word for word: its program and its commands.
sed -n '/^    #include <stdio.h>/,/^    }$/p' "$root/docs/deploy.md" | sed 's/^    //' >main.c
mkdir word && cp main.c word/ && cd word
ln -s "$root/tests" tests
sed -n 's/^    \(fovea build .*\)/\1/p; s/^    \(cc -std.*\)/\1/p; s/^    \(\.\/main .*\)/\1/p' "$root/docs/deploy.md" >commands
[ "$(wc -l <commands)" -eq 3 ] || fail "docs/deploy.md has other commands: $(cat commands)"
while read -r first rest; do
    [ "$first" != fovea ] || first=$fovea
    expect 0 $first $rest
done <commands
grep -q '^-\{0,1\}[0-9]' "$work/out" || fail "the program of docs/deploy.md printed nothing"
cd ..

# Failure leaves nothing.
expect 1 "$fovea" build $model -o nowhere/digits
AR=/nonexistent/ar expect 1 "$fovea" build $model -o lost
says err "AR names another"
expect 1 "$fovea" build net.lua --shape n=7,c=13 --weights net.safetensors -o lost
expect 1 "$fovea" build net.lua net.lua -o lost
for f in lost.*; do [ ! -e "$f" ] || fail "$f was written"; done
