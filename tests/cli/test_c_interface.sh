# What a C program may do wrong with a built library: each is refused with its status and a text that names the thing.
# And the library without threads: nothing of pthreads is needed.
. "$(dirname "$0")/kit.sh"
needs "$cc" objcopy ar nm
cat >net.lua <<'L'
local x, i = input("x", "n c"), input("i", "m", { m = 5 }, { type = "i32" })
local y = gelu(linear(x, "first", "c=24"))
output("y", linear(y, "second", "c=8"), "n c")
output("z", x{ n = i }, "m c")
L
sed 's/c=24/c=32/' net.lua >wide.lua
shape="--shape n=7,c=12"
expect 0 "$fovea" run net.lua $shape --write-used net.safetensors
expect 0 "$fovea" run wide.lua $shape --write-used wide.safetensors
expect 0 "$fovea" build net.lua $shape --weights net.safetensors -o net
expect 0 "$fovea" build wide.lua $shape --weights wide.safetensors -o wide
head -c 900 net.safetensors >cut.safetensors
head -c 900 net.weights >cut.weights
cat >main.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "net.h"
static fovea_error e;
static int wrong;
static void is(int line, fovea_status got, fovea_status want, const char *text) {
    if (got == want && (got == FOVEA_OK || (e.status == want && strstr(e.text, text)))) return;
    fprintf(stderr, "line %d: status %d, not %d: %s (wanted: %s)\n", line, (int)got, (int)want, e.text, text);
    wrong = 1;
}
#define IS(call, want, text) (memset(&e, 0, sizeof e), is(__LINE__, (call), (want), (text)))
static int deletions;
static void deleted(DLManagedTensor *t) { deletions += t != NULL; }
int main(void) {
    static float x[NET_INPUT_0_BYTES / 4 + 1], y[NET_OUTPUT_0_BYTES / 4 + 1], z[NET_OUTPUT_1_BYTES / 4 + 1];
    static int32_t i[NET_INPUT_1_BYTES / 4 + 1] = {6, 0, 3};
    const void *in[] = {x, i};
    void *out[] = {y, z};
    fovea_model *m = NULL, *n = NULL;
    fovea_safetensors *f = NULL;
    fovea_options o = {.threads = 2, .bytes = sizeof(fovea_options)};

    /* Weights: of another variant, cut, absent; both forms. */
    IS(net_open("wide.weights", NULL, &m, &e), FOVEA_E_WEIGHTS, "weights of another model than");
    IS(net_open("cut.weights", NULL, &m, &e), FOVEA_E_FORMAT, "cut");
    IS(net_open("net.safetensors", NULL, &m, &e), FOVEA_E_FORMAT, "not an image of weights");
    IS(net_open("none", NULL, &m, &e), FOVEA_E_FILE, "none: cannot be opened");
    IS(net_open(NULL, NULL, &m, &e), FOVEA_E_ARGUMENT, "without weights inside");
    IS(net_open("net.weights", NULL, NULL, &e), FOVEA_E_ARGUMENT, "nowhere to write the model");
    IS(net_safetensors_open("cut.safetensors", &f, &e), FOVEA_E_FORMAT, "cut.safetensors");
    if (m || f) wrong = 2;

    /* The same from memory, and a checkpoint from memory. */
    static _Alignas(64) char bytes[NET_WEIGHT_BYTES + 64], checkpoint[1 << 16];
    FILE *file = fopen("net.weights", "rb");
    if (!file || fread(bytes, 1, sizeof bytes, file) != NET_WEIGHT_BYTES || net_weight_bytes() != NET_WEIGHT_BYTES) return 8;
    fclose(file);
    IS(net_open_memory(bytes, NET_WEIGHT_BYTES, &o, &m, &e), FOVEA_OK, "");
    IS(net_run(m, in, out, &e), FOVEA_OK, "");
    net_dispose(m);
    IS(net_open_memory(bytes + 4, NET_WEIGHT_BYTES, NULL, &m, &e), FOVEA_E_ARGUMENT, "not aligned to 64 bytes");
    IS(net_open_memory(bytes, NET_WEIGHT_BYTES - 64, NULL, &m, &e), FOVEA_E_FORMAT, "cut");
    IS(net_open_memory(bytes, 3, NULL, &m, &e), FOVEA_E_FORMAT, "not an image of weights");
    IS(net_open_memory(bytes, -1, NULL, &m, &e), FOVEA_E_ARGUMENT, "no image");
    IS(net_open_memory(NULL, 64, NULL, &m, &e), FOVEA_E_ARGUMENT, "no image");
    bytes[NET_WEIGHT_BYTES - 200] ^= 1;
    IS(net_open_memory(bytes, NET_WEIGHT_BYTES, NULL, &m, &e), FOVEA_E_FORMAT, "damaged");
    o.unchecked = true; /* the caller says so: then it is not found */
    IS(net_open_memory(bytes, NET_WEIGHT_BYTES, &o, &m, &e), FOVEA_OK, "");
    net_dispose(m);
    IS(net_open_memory(bytes, NET_WEIGHT_BYTES - 64, &o, &m, &e), FOVEA_E_FORMAT, "cut");
    o.unchecked = false;
    o.reserved[3] = 1;
    IS(net_open("net.weights", &o, &m, &e), FOVEA_E_ARGUMENT, "options.reserved is not 0");
    o.reserved[3] = 0;
    file = fopen("net.safetensors", "rb");
    size_t size = file ? fread(checkpoint, 1, sizeof checkpoint, file) : 0;
    fclose(file);
    IS(net_load(&o, &m, &e), FOVEA_OK, "");
    IS(net_safetensors_parse(checkpoint, size, "mine", &f, &e), FOVEA_OK, "");
    IS(net_bind(m, f, &e), FOVEA_OK, "");
    IS(net_run(m, in, out, &e), FOVEA_OK, "");

    /* Parameters as tensors, read in place: an output cannot lie there. */
    fovea_named_tensor named[8];
    const fovea_array *p;
    int32_t n_named = 0;
    for (; n_named < 8 && (p = net_param(m, n_named)); n_named++) {
        float *data = calloc(1, (size_t)p->bytes + NET_OUTPUT_1_BYTES);
        named[n_named] = (fovea_named_tensor){p->name, net_tensor(data, p->dtype, p->rank, (int64_t *)(uintptr_t)p->shape)};
    }
    if (n_named != NET_PARAMETERS) return 9;
    IS(net_bind_tensors(m, named, n_named - 1, &e), FOVEA_E_WEIGHTS, net_param(m, n_named - 1)->name);
    IS(net_run(m, in, out, &e), FOVEA_E_STATE, "no weights bound");
    IS(net_bind_tensors(m, named, n_named, &e), FOVEA_OK, "");
    IS(net_run(m, in, out, &e), FOVEA_OK, "");
    out[1] = named[0].tensor.data;
    IS(net_run(m, in, out, &e), FOVEA_E_TENSOR, "output \"z\" shares memory with parameter");
    out[1] = z;
    named[0].tensor.data = (char *)named[0].tensor.data + 2;
    IS(net_bind_tensors(m, named, n_named, &e), FOVEA_E_WEIGHTS, "data is not aligned");
    net_dispose(m);
    net_safetensors_close(f);
    IS(net_safetensors_parse(checkpoint, size - 1, "mine", &f, &e), FOVEA_E_FORMAT, "mine: ");
    IS(net_load(&o, &m, &e), FOVEA_OK, "");
    IS(net_run(m, in, out, &e), FOVEA_E_STATE, "no weights bound");
    IS(net_share(m, NULL, &n, &e), FOVEA_E_STATE, "no weights bound");
    IS(net_safetensors_open("wide.safetensors", &f, &e), FOVEA_OK, "");
    IS(net_bind(m, f, &e), FOVEA_E_WEIGHTS, "parameter \"first.weight\": must have shape [24, 12], is stored with [32, 12]");
    IS(net_run(m, in, out, &e), FOVEA_E_STATE, "no weights bound");
    net_safetensors_close(f);
    IS(net_bind(m, NULL, &e), FOVEA_E_ARGUMENT, "no weights");
    net_dispose(m);

    /* The caller's block, and options of another header. */
    char *block = aligned_alloc(64, NET_OPEN_BYTES(2) + 64);
    o.memory = block;
    o.memory_bytes = NET_OPEN_BYTES(2) - 1;
    IS(net_open("net.weights", &o, &m, &e), FOVEA_E_MEMORY, "the model needs");
    o.memory_bytes++;
    o.memory = block + 4;
    IS(net_open("net.weights", &o, &m, &e), FOVEA_E_MEMORY, "not aligned to 64 bytes");
    o.memory = block;
    o.threads = -1;
    IS(net_open("net.weights", &o, &m, &e), FOVEA_E_ARGUMENT, "threads must be in 0..1024");
    o.threads = 2;
    o.bytes = 24;
    IS(net_open("net.weights", &o, &m, &e), FOVEA_E_ARGUMENT, "options of 24 bytes");
    struct {
        fovea_options known;
        int64_t later;
    } later = {o, 0};
    later.known.bytes = sizeof later;
    IS(net_open("net.weights", &later.known, &m, &e), FOVEA_OK, "");
    net_dispose(m);
    later.later = 1;
    IS(net_open("net.weights", &later.known, &m, &e), FOVEA_E_ARGUMENT, "compiled with a later header");
    o.bytes = sizeof o;
    IS(net_open("net.weights", &o, &m, &e), FOVEA_OK, "");

    /* Tensors. */
    IS(net_run(m, in, out, &e), FOVEA_OK, "");
    IS(net_run(NULL, in, out, &e), FOVEA_E_ARGUMENT, "no model");
    IS(net_run(m, NULL, out, &e), FOVEA_E_ARGUMENT, "no list of inputs");
    IS(net_run(m, in, NULL, &e), FOVEA_E_ARGUMENT, "no list of outputs");
    in[0] = (char *)x + 1;
    IS(net_run(m, in, out, &e), FOVEA_E_TENSOR, "input \"x\": data is not aligned");
    in[0] = NULL;
    IS(net_run(m, in, out, &e), FOVEA_E_TENSOR, "input \"x\": has no data");
    in[0] = x;
    out[1] = x;
    IS(net_run(m, in, out, &e), FOVEA_E_TENSOR, "output \"z\" shares memory with input \"x\"");
    out[1] = y + 1;
    IS(net_run(m, in, out, &e), FOVEA_E_TENSOR, "shares memory with output");
    out[1] = z;
    i[2] = 7;
    IS(net_run(m, in, out, &e), FOVEA_E_TENSOR, "input \"i\": element [2] is 7, an index must be in 0..6");
    i[2] = 3;

    /* The same as DLPack tensors, as a program that knows nothing of Fovea hands them over. */
    int64_t sx[] = {7, 12}, si[] = {5}, sy[] = {7, 8}, sz[] = {5, 12}, strides[] = {12, 1};
    float *spare = calloc(1, NET_OUTPUT_0_BYTES + 64);
    DLManagedTensor given = {.dl_tensor = net_tensor(x, FOVEA_F32, 2, sx), .deleter = deleted};
    DLManagedTensorVersioned taken = {.version = {DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION},
                                      .dl_tensor = net_tensor(spare, FOVEA_F32, 2, sy)};
    DLTensor ti = net_tensor(i, FOVEA_I32, 1, si), tz = net_tensor(z, FOVEA_F32, 2, sz), *tx = &given.dl_tensor;
    const DLTensor *ins[] = {tx, &ti}, *outs[] = {&taken.dl_tensor, &tz};
    taken.dl_tensor.byte_offset = 8;
    x[5] = 3;
    IS(net_run(m, in, out, &e), FOVEA_OK, "");
    IS(net_run_dlpack(m, ins, outs, &e), FOVEA_OK, "");
    if (memcmp(spare + 2, y, NET_OUTPUT_0_BYTES) || spare[0] != 0 || !memcmp(y, spare, NET_OUTPUT_0_BYTES)) wrong = 3;
    tx->strides = strides;
    IS(net_run_dlpack(m, ins, outs, &e), FOVEA_OK, "");
    strides[0] = 13;
    IS(net_run_dlpack(m, ins, outs, &e), FOVEA_E_TENSOR, "input \"x\": must be dense row-major, has strides [13, 1] for shape [7, 12]");
    tx->strides = NULL;
    IS(net_run_dlpack(m, NULL, outs, &e), FOVEA_E_ARGUMENT, "no list of inputs");
    IS(net_run_dlpack(m, ins, NULL, &e), FOVEA_E_ARGUMENT, "no list of outputs");
    IS(net_run_dlpack(NULL, ins, outs, &e), FOVEA_E_ARGUMENT, "no model");
    outs[1] = NULL;
    IS(net_run_dlpack(m, ins, outs, &e), FOVEA_E_TENSOR, "output \"z\": no tensor is given");
    outs[1] = &tz;
    tz.ndim = 1;
    IS(net_run_dlpack(m, ins, outs, &e), FOVEA_E_TENSOR, "output \"z\": must have shape [5, 12], has [5]");
    tz.ndim = 2;
    sx[1] = 13;
    IS(net_run_dlpack(m, ins, outs, &e), FOVEA_E_TENSOR, "input \"x\": must have shape [7, 12], has [7, 13]");
    sx[1] = 12;
    tx->shape = NULL;
    IS(net_run_dlpack(m, ins, outs, &e), FOVEA_E_TENSOR, "input \"x\": must have shape [7, 12], has no shape");
    tx->shape = sx;
    tx->dtype.bits = 16;
    IS(net_run_dlpack(m, ins, outs, &e), FOVEA_E_TENSOR, "input \"x\": must be f32, is f16");
    tx->dtype = (DLDataType){kDLFloat, 32, 4};
    IS(net_run_dlpack(m, ins, outs, &e), FOVEA_E_TENSOR, "input \"x\": must be f32, is DLPack's type code 2 of 32 bits and 4 lanes");
    tx->dtype = net_dtype_dlpack(FOVEA_F32);
    tx->device.device_type = kDLCUDA;
    IS(net_run_dlpack(m, ins, outs, &e), FOVEA_E_TENSOR, "input \"x\": must be in CPU memory, is on device type 2");
    tx->device.device_type = kDLCPU;
    tx->byte_offset = 2;
    IS(net_run_dlpack(m, ins, outs, &e), FOVEA_E_TENSOR, "input \"x\": data is not aligned to its element of 4 bytes");
    tx->byte_offset = 0;
    taken.dl_tensor.data = x;
    IS(net_run_dlpack(m, ins, outs, &e), FOVEA_E_TENSOR, "output \"y\" shares memory with input \"x\"");
    if (deletions) wrong = 5;
    net_dispose(m);
    if (net_run(NULL, in, out, NULL) != FOVEA_E_ARGUMENT) wrong = 4;  /* an error that nobody wants to read */
    free(spare);
    free(block);
    return wrong;
}
C
expect 0 $cc -std=c11 -Wall -Wextra -Werror main.c net.a -lpthread -lm -o main
expect 0 ./main
expect 0 $cc -std=c11 main.c ./net.so -lpthread -lm -o main_shared
LD_LIBRARY_PATH=. expect 0 ./main_shared

# A level that this processor lacks.
lacks=
[ ! -r /proc/cpuinfo ] || for level in amx:amx_tile avx512:avx512f avx2:avx2; do
    grep -qw "${level#*:}" /proc/cpuinfo || lacks=${lacks:-${level%:*}}
done
if [ -n "$lacks" ] && [ "$(uname -m)" = x86_64 ]; then
    expect 0 "$fovea" build net.lua $shape --target "$lacks" --weights net.safetensors -o above
    cat >level.c <<'C'
#include <stdio.h>
#include <string.h>
#include "above.h"
int main(void) {
    fovea_error e;
    fovea_model *m = (fovea_model *)&e;
    fovea_status s = above_open("above.weights", NULL, &m, &e);
    printf("%s\n", e.text);
    return s == FOVEA_E_PROCESSOR && !m && !above_level() ? 0 : 1;
}
C
    expect 0 $cc -std=c11 level.c above.a -lpthread -lm -o level
    expect 0 ./level
    says out "this processor lacks"
else
    echo "SKIPPED: no level of processor that this one lacks"
fi

# A kernel that writes outside its array is named, with the author's line: here the caller's threads write after it.
expect 0 "$fovea" build net.lua --shape n=700,c=12 --weights net.safetensors -o long
cat >broken.c <<'C'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "long.h"
static void spoil(void *user, int32_t threads, fovea_body *body, void *arg) {
    for (int32_t i = 0; i < threads; i++) body(arg, i);
    memset(user, 1, LONG_OPEN_BYTES(2));
}
int main(void) {
    static float x[LONG_INPUT_0_BYTES / 4], y[LONG_OUTPUT_0_BYTES / 4], z[LONG_OUTPUT_1_BYTES / 4];
    static int32_t i[LONG_INPUT_1_BYTES / 4];
    const void *in[] = {x, i};
    void *out[] = {y, z};
    fovea_error e;
    fovea_model *m = NULL;
    fovea_options o = {.threads = 2, .check = true, .memory_bytes = LONG_OPEN_BYTES(2), .parallel = spoil};
    o.memory = o.parallel_user = aligned_alloc(64, LONG_OPEN_BYTES(2));
    if (long_open("long.weights", &o, &m, &e)) return 2;
    if (long_run(m, in, out, &e) != FOVEA_E_GUARD) return 3;
    printf("%s\n", e.text);
    return 0;
}
C
expect 0 $cc -std=c11 broken.c long.a -lpthread -lm -o broken
expect 0 ./broken
says out "kernel "
grep -q "net.lua:[0-9]" out || fail "the author's line is not named: $(cat out)"

# Without threads.
expect 0 "$fovea" build net.lua $shape --weights net.safetensors --threads none -o net
nm -u net.a | grep pthread && fail "pthreads are needed"
sed 's/threads = 2/threads = 1/; s/OPEN_BYTES(2)/OPEN_BYTES(1)/' main.c >one.c
expect 0 $cc -std=c11 -Wall -Wextra -Werror one.c net.a -lm -o one
expect 0 ./one
cat >two.c <<'C'
#include <stdio.h>
#include <string.h>
#include "net.h"
static int calls;
static void mine(void *user, int32_t threads, fovea_body *body, void *arg) {
    (void)user;
    calls++;
    for (int32_t i = threads; i-- > 0;) body(arg, i);
}
int main(void) { /* the caller's own threads still work; the library's are refused */
    static float x[NET_INPUT_0_BYTES / 4], y[NET_OUTPUT_0_BYTES / 4], z[NET_OUTPUT_1_BYTES / 4];
    static int32_t i[NET_INPUT_1_BYTES / 4];
    const void *in[] = {x, i};
    void *out[] = {y, z};
    fovea_error e;
    fovea_model *m = NULL;
    fovea_options o = {.threads = 2};
    if (net_threads_available() != 1 || net_open("net.weights", &o, &m, &e) != FOVEA_E_THREAD) return 2;
    if (!strstr(e.text, "--threads none")) return 3;
    o.parallel = mine;
    if (net_open("net.weights", &o, &m, &e) || net_run(m, in, out, &e)) return 4;
    return 0;
}
C
expect 0 $cc -std=c11 two.c net.a -lm -o two
expect 0 ./two
expect 0 $cc -std=c11 -Wall -Wextra -Wconversion -Wshadow -Werror -I "$root/runtime" -c "$root/runtime/single/pool.c" -o pool.o
expect 0 "$fovea" verify net.so
says out "all of libc and libm"
sed -i 's/"threads": "none"/"threads": "pool"/' net.json
expect 1 "$fovea" verify net.so
says err 'says other than the library: "threads"'
grep -q pthread net.pc && fail "net.pc asks for pthreads"
expect 1 "$fovea" build net.lua $shape --threads some -o lost
says err "pool, none"
