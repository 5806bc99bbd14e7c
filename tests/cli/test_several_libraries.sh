# Several libraries in one program, of several versions of the runtime: each runs its own. What a library shows, its header
# declares; nothing in it tells of the machine that built it.
. "$(dirname "$0")/kit.sh"
needs "$cc" objcopy ar nm
cat >net.lua <<'L'
local y = linear(input("x", "n c"), "fc", "c=24")
output("y", gelu(y), "n c")
output("s", y:sum"c", "n")
L
shape="--shape n=7,c=12"
expect 0 "$fovea" run net.lua $shape --write-used net.safetensors --output want.safetensors

# Another runtime: its models are laid out otherwise, its texts are others. Where one library's function were called with
# the other's model, the program would end.
cp -r "$root/runtime" other
sed -i 's/^struct fovea_model {/struct fovea_model {\n    char moved[4000];/' other/model.h
sed -i 's/"the model has no weights bound"/"the other runtime: no weights bound"/' other/error.c other/run.c other/model.c
sed -i 's/^struct fovea_pool {/struct fovea_pool {\n    char moved[4000];/' other/pool.c
cmp -s other/model.h "$root/runtime/model.h" && fail "the other model is not another"
cmp -s other/pool.c "$root/runtime/pool.c" && fail "the other pool is not another"
expect 0 "$fovea" build net.lua $shape --weights net.safetensors -o first
FOVEA_RUNTIME=$work/other expect 0 "$fovea" build net.lua $shape --weights net.safetensors -o second
cat >main.c <<'C'
#include "first.h"
#include "second.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __cplusplus
#define CHECK(lib, call) if (call) { fprintf(stderr, #lib " line %d: %s\n", __LINE__, e.text); return 1; }
#else
#define CHECK(lib, call) if (call) return fprintf(stderr, #lib " line %d: %s\n", __LINE__, e.text), 1
#endif
/* Everything of one library: open, share, a pool, run, texts. */
#define TRY(lib, NAME) \
    static int try_##lib(const fovea_stored *x, const fovea_stored *y) { \
        fovea_error e; \
        fovea_options o; \
        fovea_model *m[3] = {NULL, NULL, NULL}; \
        fovea_pool *pool = NULL; \
        static float out[7 * 24], sum[7]; \
        const void *in[] = {x->data}; \
        void *outs[] = {out, sum}; \
        memset(&o, 0, sizeof o); \
        o.bytes = sizeof o; \
        o.threads = 3; \
        CHECK(lib, lib##_pool_new(3, &pool, &e)); \
        o.parallel = lib##_pool_parallel; \
        o.parallel_user = pool; \
        CHECK(lib, lib##_open(#lib ".weights", NULL, &m[0], &e)); \
        CHECK(lib, lib##_share(m[0], &o, &m[1], &e)); \
        for (int i = 0; i < 2; i++) { \
            memset(out, 0, sizeof out); \
            CHECK(lib, lib##_run(m[i], in, outs, &e)); \
            if (sizeof out != NAME##_OUTPUT_0_BYTES || memcmp(out, y->data, sizeof out)) return 2; \
        } \
        CHECK(lib, lib##_selftest(#lib ".weights", NULL, &e)); \
        CHECK(lib, lib##_load(NULL, &m[2], &e)); \
        if (lib##_run(m[2], in, outs, &e) != FOVEA_E_STATE) return 3; \
        printf("%s / %s\n", e.text, lib##_status_text(FOVEA_E_STATE)); \
        if (strcmp(lib##_output(m[1], 1)->name, "s") || lib##_input(m[1], 1) || lib##_threads(m[1]) != 3) return 4; \
        for (int i = 2; i >= 0; i--) lib##_dispose(m[i]); \
        lib##_pool_dispose(pool); \
        return 0; \
    }
TRY(first, FIRST)
TRY(second, SECOND)
int main(void) {
    fovea_error e;
    fovea_safetensors *f = NULL, *g = NULL;
    CHECK(first, first_safetensors_open("net.safetensors", &f, &e));
    CHECK(second, second_safetensors_open("want.safetensors", &g, &e));
    const fovea_stored *x = first_safetensors_find(f, "x"), *y = second_safetensors_find(g, "y");
    int bad = !x || !y ? 9 : try_first(x, y);
    if (!bad) bad = try_second(x, y);
    first_safetensors_close(f);
    second_safetensors_close(g);
    if (bad) fprintf(stderr, "%d\n", bad);
    return bad;
}
C
both() {
    expect 0 "$@"
    says out "the model has no weights bound / the model has no weights bound"
    says out "the other runtime: no weights bound / the other runtime: no weights bound"
}
expect 0 $cc -std=c11 -Wall -Wextra -Werror main.c first.a second.a -lpthread -lm -o main
both ./main
expect 0 $cc -std=c11 main.c second.a first.a -lpthread -lm -o main
both ./main
expect 0 $cc -std=c11 main.c ./first.so ./second.so -o main
LD_LIBRARY_PATH=. both ./main
expect 0 $cc -std=c11 main.c ./second.so first.a -lpthread -lm -o main
LD_LIBRARY_PATH=. both ./main
cxx=${CXX:-c++}
if command -v "$cxx" >/dev/null; then
    expect 0 "$cxx" -std=c++17 -Wall -Wextra -Werror main.c first.a second.a -lpthread -lm -o main
    both ./main
else
    echo "SKIPPED: no C++ compiler here"
fi

# The header and the object agree: every function that one has the other has, and fovea_library is weak.
for n in first second; do
    nm $n.a | awk '$2 ~ /^[TDRBC]$/ { print $3 }' | sort >shown
    sed '/^#if 0/,/^#endif/d; s|/\*.*\*/||; /^ \* /d' $n.h | grep -o "^[A-Za-z].*[ *]${n}_[a-z0-9_]*[(;]" | grep -o "${n}_[a-z0-9_]*" | sort -u >declared
    diff shown declared >differ || fail "$n.a and $n.h differ: $(cat differ)"
    [ "$(nm $n.a | awk '$2 ~ /^[VW]$/ { print $3 }')" = fovea_library ] || fail "$n.a has other weak symbols"
    nm -D --defined-only $n.so | awk '{ print $3 }' | grep -v "^${n}_" | grep -vx fovea_library && fail "$n.so shows more"
done

# A name of the runtime's is none of a library's.
expect 1 "$fovea" build net.lua $shape -o fovea_net
says err "names that begin with fovea_ are the runtime's"
expect 1 "$fovea" build net.lua $shape -o fovea

# No path of this machine, wherever the text lay: below the folder of specs, in this one, or elsewhere.
mkdir -p elsewhere/deep
cp net.lua elsewhere/deep/apart.lua
expect 0 "$fovea" build "$work/elsewhere/deep/apart.lua" $shape --embed -o below
(mkdir -p lone && cd lone && expect 0 "$fovea" build "$work/elsewhere/deep/apart.lua" $shape -o apart)
expect 0 "$fovea" build neighborhood $small --set kernel=3 -o shipped
clean() { # FILES
    for f in "$@"; do
        for path in "$work" "$root" "${TMPDIR:-/tmp}/" "$(dirname "$fovea")"; do
            grep -aqF "$path" "$f" && fail "$f tells of $path: $(strings -a "$f" | grep -F "$path" | head -3)"
        done
    done
    return 0
}
clean below.so below.a below.h below.json below.pc lone/apart.so lone/apart.a lone/apart.json shipped.so shipped.a shipped.h
grep -aq "elsewhere/deep/apart.lua:[0-9]" below.so || fail "below.so does not name the author's line"
grep -aq "apart.lua:[0-9]" lone/apart.so || fail "apart.so does not name the author's line"
grep -aq "attention/neighborhood.lua:[0-9]" shipped.so || fail "shipped.so does not name the author's line"
if command -v pkg-config >/dev/null; then
    mkdir moved
    mv first.a first.h first.pc moved/
    case "$(pkg-config --cflags --libs moved/first.pc)" in
    *moved*-l:first.a*) ;;
    *) fail "first.pc does not say where it is: $(pkg-config --cflags --libs moved/first.pc)" ;;
    esac
else
    echo "SKIPPED: no pkg-config here"
fi
