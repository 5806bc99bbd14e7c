# libfovea.so: a C program that knows nothing but its header compiles specs and runs them; it shows its own functions only.
. "$(dirname "$0")/kit.sh"
cc=${CC:-cc}
command -v "$cc" >/dev/null && command -v nm >/dev/null || { echo "SKIPPED: no C compiler or binutils here"; exit 0; }
library=$(dirname "$fovea")/libfovea.so
[ -e "$library" ] || fail "$library was not built"

nm -D --defined-only "$library" | sed 's/.* //' | sort >shown
for name in fovea_compile_text fovea_compile_file fovea_compilation_load fovea_model_run fovea_safetensors_open fovea_stored_convert; do
    grep -qx "$name" shown || fail "$name is not shown"
done
cat "$root"/compiler/api/fovea_compiler.h "$root"/runtime/fovea.h "$root"/runtime/safetensors.h >headers
while read -r name; do grep -qw "$name" headers || fail "$name is shown, and in no header of the library"; done <shown

cat >use.c <<'C'
#include "fovea_compiler.h"
#include <stdio.h>
#include <string.h>
#include <pthread.h>

static int compile_and_run(int n) {
    const char *text = "local x = input(\"x\", \"n c\")\nprint(\"traced\")\noutput(\"y\", x * config.factor, \"n c\")\n";
    fovea_extent extents[] = {{"n", n}, {"c", 3}};
    const char *settings[] = {"factor=2.5"};
    fovea_compile_options o = {.bytes = sizeof o, .extents = extents, .n_extents = 2, .settings = settings, .n_settings = 1};
    fovea_compilation *c = fovea_compile_text("mine", text, strlen(text), &o);
    fovea_model *m[2] = {NULL, NULL};
    fovea_error e;
    if (!fovea_compilation_ok(c) || fovea_compilation_remarks(c)) return 1;
    if (strcmp(fovea_compilation_printed(c), "traced\n") || fovea_compilation_classes(c) || fovea_compilation_preprocess(c)) return 2;
    float x[12], y[12];
    for (int i = 0; i < 3 * n; i++) x[i] = (float)i;
    for (int i = 0; i < 2; i++) {
        fovea_options run = {.threads = i + 1};
        if (fovea_compilation_load(c, &run, &m[i], &e)) return fprintf(stderr, "%s\n", e.text), 3;
        int64_t shape[] = {n, 3};
        DLTensor in = fovea_tensor(x, FOVEA_F32, 2, shape), out = fovea_tensor(y, FOVEA_F32, 2, shape);
        memset(y, 0, sizeof y);
        if (fovea_model_run(m[i], &in, 1, &out, 1, &e)) return fprintf(stderr, "%s\n", e.text), 4;
        for (int k = 0; k < 3 * n; k++)
            if (y[k] != 2.5f * x[k]) return 5;
    }
    fovea_model_dispose(m[0]);
    fovea_model_dispose(m[1]);
    fovea_compilation_dispose(c);
    return 0;
}
static int refuse(const char *text, const fovea_compile_options *o, int code, int line, const char *part) {
    fovea_compilation *c = fovea_compile_text("mine", text, strlen(text), o);
    fovea_remark r = fovea_compilation_remark(c, 0);
    fovea_model *m = NULL;
    fovea_error e;
    int bad = !c || fovea_compilation_ok(c) || fovea_compilation_remarks(c) < 1 || r.note || r.line != line || r.code != code ||
              !strstr(r.text, part) || (line && strcmp(r.file, "mine")) || !*r.remedy ||
              fovea_compilation_load(c, NULL, &m, &e) != FOVEA_E_ARGUMENT || m || fovea_compilation_program(c);
    if (bad) fprintf(stderr, "E%04d %s:%d %s\n", r.code, r.file, r.line, r.text);
    if (*fovea_compilation_remark(c, 1000).text || *fovea_compilation_remark(c, -1).text) bad = 1;
    fovea_compilation_dispose(c);
    return bad;
}
static void *thread(void *n) { return (void *)(intptr_t)compile_and_run((int)(intptr_t)n); }

int main(int argc, char **argv) {
    pthread_t t[4];
    for (intptr_t i = 0; i < 4; i++) pthread_create(&t[i], NULL, thread, (void *)(i + 1));
    for (int i = 0; i < 4; i++) {
        void *bad;
        pthread_join(t[i], &bad);
        if (bad) return fprintf(stderr, "run: %d\n", (int)(intptr_t)bad), 1;
    }
    fovea_compile_options o = {.bytes = sizeof o};
    const char *settings[] = {"factor"};
    if (refuse("output(\"y\",\n\n  input(\"x\", \"n=2\") + y, \"n\")", &o, 111, 3, "nil")) return 2;
    if (refuse("x = = 1", NULL, 101, 1, "unexpected symbol")) return 3;
    if (refuse("output(\"y\", input(\"x\", \"n\"), \"n\")", &o, 304, 1, "extent of axis 'n'")) return 4;
    o.settings = settings;
    o.n_settings = 1;
    if (refuse("output(\"y\", input(\"x\", \"n=2\"), \"n\")", &o, 601, 0, "key=value")) return 5;
    /* Of an older program: what it does not know of is zero, whatever lies there. */
    o.bytes = offsetof(fovea_compile_options, n_settings);
    fovea_compilation *c = fovea_compile_file(argv[1], &o);
    if (argc != 2 || !fovea_compilation_ok(c)) return 6;
    fovea_compilation_dispose(c);
    c = fovea_compile_file("nowhere.lua", NULL);
    if (!c || fovea_compilation_ok(c) || !strstr(fovea_compilation_remark(c, 0).text, "nowhere.lua")) return 7;
    fovea_compilation_dispose(c);
    fovea_compilation_dispose(NULL);
    printf("%s\n", fovea_compiler_version());
    return fovea_compiler_interface() != FOVEA_COMPILER_INTERFACE;
}
C
echo 'output("y", input("x", "n=2"), "n")' >fine.lua
flags=
if grep -q __asan_init "$library"; then flags=-fsanitize=address; fi
expect 0 $cc $flags -std=c11 -Wall -Wextra -Werror -I"$root/compiler/api" -I"$root/runtime" use.c "$library" -lpthread -o use
LD_LIBRARY_PATH=$(dirname "$library") expect 0 ./use fine.lua
says out "0.1.0"

# What is deployed needs none of it.
expect 0 "$fovea" compile fine.lua -o fine
readelf -d fine.so | grep NEEDED | grep -v -e 'libc\.so' -e 'libm\.so' -e 'libpthread\.so' -e 'ld-linux' >needs || true
[ ! -s needs ] || fail "a compiled library needs $(cat needs)"
