/* Archives, pickles and tensors that lie, and mutations of what PyTorch wrote: always a diagnostic, or a checkpoint
 * whose every byte can be read. FOVEA_FUZZ_ROUNDS: mutations of each file. AddressSanitizer sees more of it. */
#define _POSIX_C_SOURCE 200809L
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "io/pickle.h"
#include "io/pth.h"
#include "io/zip.h"

static fv_ctx *ctx;
static void begin(void) { ctx = fv_ctx_new(); }
static void end(void) { fv_ctx_dispose(ctx); }
/* Criterion pastes the first token of an assertion: it has to be a name. */
static bool is(bool v) { return v; }
static const char *first_error(void) { return fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "no error"; }
static void expect_error(bool refused, const char *part) {
    cr_assert(refused, "accepted what lacks \"%s\"", part);
    cr_expect(strstr(first_error(), part) != NULL, "\"%s\" lacks \"%s\"", first_error(), part);
    fv_diag_clear(ctx);
}

/* -- Archives ---- */
static void put(fv_buf *b, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; i++) fv_buf_putn(b, (char[]){(char)(v >> 8 * i)}, 1);
}
typedef struct {
    const char *name;
    const void *data;
    size_t n;
} part;
enum {
    NO_TRICK,
    OVERLAP,
    ENCRYPTED,
    PACKED,
    OTHER_SIZE,
    LOCAL_NAME,
    FAR,
    COMMENT,
    COUNT,
    TAIL,
    BEYOND,
    DISK,
    LOCAL_SIZE,
    ZIP64,
    ZIP64_SHORT,
    FEWER
};
/* Stored entries; the trick is played on the last. ZIP64: sizes and place of the last entry in an extra field. */
static void archive(fv_buf *b, const part *parts, int n, int trick) {
    size_t at[16], directory;
    for (int i = 0; i < n; i++) {
        bool last = i == n - 1;
        at[i] = last && trick == OVERLAP ? at[i - 1] : b->len;
        put(b, 0x04034b50, 4), put(b, 20, 2), put(b, last && trick == ENCRYPTED ? 1 : 0, 2), put(b, 0, 2), put(b, 0, 8);
        put(b, parts[i].n, 4), put(b, parts[i].n + (last && trick == LOCAL_SIZE), 4), put(b, strlen(parts[i].name), 2);
        put(b, 0, 2);
        fv_buf_puts(b, parts[i].name);
        if (last && trick == LOCAL_NAME) b->text[b->len - 1] ^= 1;
        fv_buf_putn(b, parts[i].data, parts[i].n);
    }
    directory = b->len;
    for (int i = 0; i < n; i++) {
        bool last = i == n - 1, wide = last && (trick == ZIP64 || trick == ZIP64_SHORT);
        size_t size = parts[i].n + (last && trick == OTHER_SIZE), where = last && trick == FAR ? directory : at[i];
        put(b, 0x02014b50, 4), put(b, 20, 2), put(b, 20, 2), put(b, last && trick == ENCRYPTED ? 1 : 0, 2);
        put(b, last && trick == PACKED ? 8 : 0, 2), put(b, 0, 8), put(b, wide ? 0xffffffff : parts[i].n, 4);
        put(b, wide ? 0xffffffff : size, 4), put(b, strlen(parts[i].name), 2),
            put(b, wide ? trick == ZIP64 ? 28 : 20 : 0, 2);
        put(b, 0, 2), put(b, last && trick == DISK ? 1 : 0, 2), put(b, 0, 6), put(b, wide ? 0xffffffff : where, 4);
        fv_buf_puts(b, parts[i].name);
        if (wide) put(b, 1, 2), put(b, trick == ZIP64 ? 24 : 16, 2), put(b, size, 8), put(b, parts[i].n, 8);
        if (wide && trick == ZIP64) put(b, where, 8);
    }
    size_t bytes = b->len - directory, end64 = b->len;
    if (trick == ZIP64) {
        put(b, 0x06064b50, 4), put(b, 44, 8), put(b, 45, 2), put(b, 45, 2), put(b, 0, 8), put(b, (uint64_t)n, 8);
        put(b, (uint64_t)n, 8), put(b, bytes, 8), put(b, directory, 8);
        put(b, 0x07064b50, 4), put(b, 0, 4), put(b, end64, 8), put(b, 1, 4);
    }
    uint64_t count = (uint64_t)n + (trick == COUNT) - (trick == FEWER);
    put(b, 0x06054b50, 4), put(b, 0, 4), put(b, count, 2), put(b, count, 2), put(b, bytes, 4);
    put(b, trick == ZIP64 ? 0xffffffff : directory + (trick == BEYOND), 4), put(b, trick == COMMENT ? 3 : 0, 2);
    if (trick == COMMENT || trick == TAIL) fv_buf_puts(b, "abc");
}
/* In memory of exactly their length, so that a read beyond them is seen. */
static unsigned char *exactly(const void *bytes, size_t n) {
    unsigned char *copy = malloc(n ? n : 1);
    if (n) memcpy(copy, bytes, n);
    return copy;
}
static bool zip_reads(int trick, const part *parts, int n) {
    fv_buf b = {0};
    archive(&b, parts, n, trick);
    unsigned char *copy = exactly(b.text, b.len);
    fv_arena *arena = fv_arena_new();
    fv_zip z;
    bool good = fv_zip_read(ctx, arena, "z", copy, b.len, &z);
    if (good) {
        const fv_zip_entry *e = fv_zip_find(&z, parts[n - 1].name);
        cr_expect(is(z.n == n && e && e->n == parts[n - 1].n && !memcmp(e->data, parts[n - 1].data, e->n)));
        cr_expect(fv_zip_find(&z, "nowhere") == NULL);
    }
    fv_arena_dispose(arena);
    free(copy);
    fv_buf_dispose(&b);
    return good;
}

Test(io_pth, archives_that_lie, .init = begin, .fini = end) {
    const part parts[] = {{"a/one", "first", 5}, {"a/three", "", 0}, {"a/two", "second", 6}};
    cr_expect(is(zip_reads(NO_TRICK, parts, 3)), "%s", first_error());
    cr_expect(is(zip_reads(ZIP64, parts, 3)), "%s", first_error());
    expect_error(!zip_reads(ZIP64_SHORT, parts, 3), "lacks a number");
    expect_error(!zip_reads(OVERLAP, (part[]){{"a", "12345678", 8}, {"a", "12345678", 8}}, 2), "begins inside");
    expect_error(!zip_reads(NO_TRICK, (part[]){{"a", "12", 2}, {"b", "", 0}, {"a", "34", 2}}, 3),
                 "\"a\" is there twice");
    expect_error(!zip_reads(ENCRYPTED, parts, 3), "\"a/two\" is encrypted");
    expect_error(!zip_reads(PACKED, parts, 3), "compressed (method 8)");
    expect_error(!zip_reads(OTHER_SIZE, parts, 3), "has 6 bytes of 7");
    expect_error(!zip_reads(LOCAL_SIZE, parts, 3), "another size than the directory");
    expect_error(!zip_reads(LOCAL_NAME, parts, 3), "has another name");
    expect_error(!zip_reads(FAR, parts, 3), "has no header here");
    expect_error(!zip_reads(COMMENT, parts, 3), "does not end in the end of its directory");
    expect_error(!zip_reads(TAIL, parts, 3), "does not end in the end of its directory");
    expect_error(!zip_reads(COUNT, parts, 3), "does not list 4 entries");
    expect_error(!zip_reads(FEWER, parts, 3), "belong to no entry");
    expect_error(!zip_reads(BEYOND, parts, 3), "does not end here");
    expect_error(!zip_reads(DISK, parts, 3), "on another disk");
    expect_error(!zip_reads(NO_TRICK, (part[]){{"a\nb", "", 0}}, 1), "control characters");
    expect_error(!zip_reads(NO_TRICK, (part[]){{"", "", 0}}, 1), "is empty");
}

/* -- Pickles ---- */
static bool pickle_reads(const char *bytes, size_t n) {
    unsigned char *copy = exactly(bytes, n);
    fv_arena *arena = fv_arena_new();
    bool good = fv_pickle_read(ctx, arena, "p", copy, n) != NULL;
    fv_arena_dispose(arena);
    free(copy);
    return good;
}
#define PICKLE(text) pickle_reads("\x80\2" text, sizeof("\x80\2" text) - 1)

Test(io_pth, pickles_that_lie, .init = begin, .fini = end) {
    cr_expect(is(PICKLE("N.") && PICKLE("](K\1M\1\1J\1\1\1\1\x8a\1\xff\x8a\x09"
                                        "123456789G\1\2\3\4\5\6\7\x8"
                                        "e.")),
              "%s", first_error());
    cr_expect(is(PICKLE("]q\0h\0a.")), "a list in itself: %s", first_error());
    cr_expect(is(PICKLE("cos\nsystem\n(X\2\0\0\0lstR.")), "kept as a name, never called: %s", first_error());
    expect_error(!PICKLE(""), "ends before STOP");
    expect_error(!PICKLE("N"), "byte 3: the stream ends before STOP");
    expect_error(!PICKLE("."), "STOP finds 0 values");
    expect_error(!PICKLE("NN."), "STOP finds 2 values");
    expect_error(!PICKLE("N(."), "1 marks");
    expect_error(!PICKLE("N.N"), "1 bytes follow STOP");
    expect_error(!PICKLE("X\xff\xff\xff\x7fx."), "byte 2: the stream ends inside the operand of BINUNICODE");
    expect_error(!PICKLE("\x8d\xff\xff\xff\xff\xff\xff\xff\xffx."), "BINUNICODE8");
    expect_error(!PICKLE("\x95\xff\xff\xff\xff\xff\xff\xff\x7fN."), "a frame reaches beyond");
    expect_error(!PICKLE("(ios\nsystem\n."), "the opcode INST is not read");
    expect_error(!PICKLE("\x82\1."), "the opcode EXT1 is not read");
    expect_error(!PICKLE("\xff."), "0xff is no opcode");
    expect_error(!PICKLE("R."), "REDUCE finds too few values");
    expect_error(!PICKLE("N)R."), "REDUCE wants a class or function, finds None");
    expect_error(!PICKLE("ca\nb\nNR."), "REDUCE wants a tuple of arguments, finds None");
    expect_error(!PICKLE("Nh\0."), "BINGET gets what was never put");
    expect_error(!PICKLE("Nj\xff\xff\xff\xff."), "LONG_BINGET gets what was never put");
    expect_error(!PICKLE("Nr\xff\xff\xff\xff."), "LONG_BINPUT puts far beyond");
    expect_error(!PICKLE("N\x85\x86."), "TUPLE2 finds too few values");
    expect_error(!PICKLE("t."), "TUPLE finds no mark");
    expect_error(!PICKLE("}(NNNu."), "a key without a value");
    expect_error(!PICKLE("NNa."), "APPEND wants a list, finds None");
    expect_error(!PICKLE("}Nb."), "BUILD wants an object, finds a dict");
    expect_error(!PICKLE("](Na."), "APPEND finds too few values");
    expect_error(!PICKLE("ca b\nc\n."), "names what is no class");
    expect_error(!PICKLE("ca"), "inside the operand of GLOBAL");
    expect_error(!PICKLE("NN\x93."), "STACK_GLOBAL wants two texts");
    expect_error(!PICKLE("\x80\2N."), "PROTO stands inside");
    expect_error(!pickle_reads("\x80\1N.", 4), "protocol 1 is not read");
    expect_error(!pickle_reads("N.", 2), "begins with NONE");
    enum { MANY = 3 << 20 };
    char *many = malloc(MANY);
    memcpy(many, "\x80\2", 2);
    memset(many + 2, '(', MANY - 2);
    expect_error(!pickle_reads(many, MANY), "nested more than 1000 deep");
    memset(many + 2, 'N', MANY - 2);
    expect_error(!pickle_reads(many, MANY), "on the stack");
    for (int i = 2; i + 1 < MANY; i += 2) memcpy(many + i, "}0", 2);
    cr_expect(is(!pickle_reads(many, MANY)));
    fv_diag_clear(ctx);
    memcpy(many + 2, "]q\0(", 4); /* [x, x, x ...] of lists that hold each other */
    for (int i = 6; i + 1 < MANY; i += 2) memcpy(many + i, "h\0", 2);
    cr_expect(is(!pickle_reads(many, MANY)));
    fv_diag_clear(ctx);
    free(many);
}

/* -- Tensors: {"t": call(storage(class, "0", count), offset, size, stride)} over 24 bytes ---- */
static void text(fv_buf *b, const char *s) {
    fv_buf_puts(b, "X");
    put(b, strlen(s), 4);
    fv_buf_puts(b, s);
}
static void whole(fv_buf *b, int64_t v) {
    fv_buf_putn(b, "\x8a\x08", 2);
    put(b, (uint64_t)v, 8);
}
static void tuple(fv_buf *b, const int64_t *v, int n) {
    fv_buf_puts(b, "(");
    for (int i = 0; i < n; i++) whole(b, v[i]);
    fv_buf_puts(b, "t");
}
typedef struct {
    const char *function, *storage, *key;
    int64_t count, offset;
    int rank, strides;
    int64_t size[20], stride[20];
    int copies; /* of the pair */
} claim;
static bool read_bytes(const unsigned char *bytes, size_t n, uint64_t *sum) {
    fv_pth p;
    unsigned char *copy = exactly(bytes, n);
    int before = fv_error_count(ctx);
    bool good = fv_pth_read(ctx, "x.pth", copy, n, NULL, &p);
    cr_assert(is(good == (fv_error_count(ctx) == before)), "refused without a word, or the other way round");
    for (int32_t i = 0; i < p.n; i++)
        for (int64_t k = 0; k < p.tensor[i].bytes; k++) *sum += ((const unsigned char *)p.tensor[i].data)[k];
    fv_pth_dispose(&p);
    free(copy);
    return good;
}
static bool reads_archive(const fv_buf *pickle) {
    const part parts[] = {{"x/data.pkl", pickle->text, pickle->len},
                          {"x/data/0", "123456789012345678901234", 24},
                          {"x/version", "3\n", 2}};
    fv_buf b = {0};
    uint64_t sum = 0;
    archive(&b, parts, 3, NO_TRICK);
    bool good = read_bytes((unsigned char *)b.text, b.len, &sum);
    fv_buf_dispose(&b);
    return good;
}
static bool reads(claim c) {
    fv_buf b = {0};
    fv_buf_putn(&b, "\x80\2}", 3);
    for (int i = 0; i <= c.copies; i++) {
        text(&b, "t");
        fv_buf_printf(&b, "ctorch._utils\n%s\n((", c.function ? c.function : "_rebuild_tensor_v2");
        text(&b, "storage");
        fv_buf_printf(&b, "ctorch\n%s\n", c.storage ? c.storage : "FloatStorage");
        text(&b, c.key ? c.key : "0");
        text(&b, "cpu");
        whole(&b, c.count ? c.count : 6);
        fv_buf_puts(&b, "tQ");
        whole(&b, c.offset);
        tuple(&b, c.size, c.rank);
        tuple(&b, c.stride, c.strides ? c.strides : c.rank);
        fv_buf_putn(&b, "\x89}tRs", 5);
    }
    fv_buf_puts(&b, ".");
    bool good = reads_archive(&b);
    fv_buf_dispose(&b);
    return good;
}
/* The least checkpoint there is, {"a": a tensor of nothing}, with other entries beside it or in its place. */
static bool reads_parts(const part *parts, int n) {
    fv_buf b = {0};
    uint64_t sum = 0;
    archive(&b, parts, n, NO_TRICK);
    bool good = read_bytes((unsigned char *)b.text, b.len, &sum);
    fv_buf_dispose(&b);
    return good;
}
Test(io_pth, archives_that_are_no_checkpoints, .init = begin, .fini = end) {
    fv_buf b = {0};
    fv_buf_putn(&b, "\x80\2}", 3);
    text(&b, "a");
    fv_buf_puts(&b, "ctorch._utils\n_rebuild_tensor_v2\n((");
    text(&b, "storage");
    fv_buf_puts(&b, "ctorch\nFloatStorage\n");
    text(&b, "0");
    fv_buf_putn(&b, "NK\0tQK\0K\0\x85K\1\x85\x89}tRs.", 19);
    const part pickle = {"x/data.pkl", b.text, b.len}, none = {"x/data/0", "", 0}, version = {"x/version", "3\n", 2};
#define READS(...) reads_parts((part[]){__VA_ARGS__}, sizeof((part[]){__VA_ARGS__}) / sizeof(part))
    cr_expect(is(READS(pickle, none, version)), "%s", first_error());
    cr_expect(is(READS(pickle, none, version, {"x/byteorder", "little", 6})), "%s", first_error());
    expect_error(!READS(none, version), "without NAME/data.pkl (it has x/data/0)");
    expect_error(!READS(pickle, none), "no entry \"x/version\"");
    expect_error(!READS(pickle, version), "no entry \"x/data/0\"");
    expect_error(!READS(pickle, none, {"x/version", "11", 2}), "no version of the format");
    expect_error(!READS(pickle, none, {"x/version", "", 0}), "no version of the format");
    expect_error(!READS(pickle, none, {"x/version", "3\n\n", 3}), "no version of the format");
    expect_error(!READS(pickle, none, version, {"y/data.pkl", "", 0}), "two checkpoints");
    expect_error(!READS(pickle, none, version, {"x/byteorder", "big", 3}), "is not \"little\"");
    expect_error(!READS(pickle, none, version, {"x/constants.pkl", "", 0}), "a TorchScript archive");
    expect_error(!READS({"x/data.pkl", "", 0}, none, version), "x/data.pkl: byte 0: the stream ends before STOP");
    expect_error(!READS({"x/data.pkl", "\x80\2}.", 4}, none, version), "an empty dict");
    expect_error(!READS({"x/data.pkl", "\x80\2N.", 4}, none, version), "None was saved");
    fv_buf_dispose(&b);
}

#define SHAPE2(a, b, c, d) .rank = 2, .size = {a, b}, .stride = {c, d}

Test(io_pth, tensors_that_lie, .init = begin, .fini = end) {
    const int64_t huge = INT64_MAX, wide = INT64_C(1) << 40;
    cr_expect(is(reads((claim){SHAPE2(2, 3, 3, 1)})), "%s", first_error());
    cr_expect(is(reads((claim){SHAPE2(3, 2, 1, 3)})), "%s", first_error());
    cr_expect(is(reads((claim){.rank = 3, .size = {2, 1, 3}, .stride = {1, huge, 2}, .offset = 0})), "%s",
              first_error());
    cr_expect(is(reads((claim){SHAPE2(1000, 6, 0, 1)})), "%s", first_error());
    cr_expect(is(reads((claim){SHAPE2(0, huge, 0, 1), .offset = huge})), "%s", first_error());
    cr_expect(is(reads((claim){.rank = 0, .offset = 5})), "%s", first_error());
    expect_error(!reads((claim){SHAPE2(2, 3, 3, 1), .offset = 1}), "\"t\": reaches element 7 of a storage of 6");
    expect_error(!reads((claim){.rank = 0, .offset = 6}), "reaches element 7 of a storage of 6");
    expect_error(!reads((claim){SHAPE2(2, 4, 3, 1)}), "reaches element 7");
    expect_error(!reads((claim){SHAPE2(3, 3, 1, 2), .offset = 0}), "reaches element 7");
    expect_error(!reads((claim){SHAPE2(2, 3, -3, 1), .offset = 5}), "no whole numbers of one rank");
    expect_error(!reads((claim){SHAPE2(-2, 3, 3, 1)}), "no whole numbers of one rank");
    expect_error(!reads((claim){SHAPE2(2, 3, 3, 1), .offset = -1}), "no whole numbers of one rank");
    expect_error(!reads((claim){SHAPE2(2, 3, 3, 1), .strides = 1}), "no whole numbers of one rank");
    expect_error(!reads((claim){.rank = 17}), "at most 16");
    expect_error(!reads((claim){SHAPE2(wide, wide, 0, 0)}), "beyond 64 bits");
    expect_error(!reads((claim){SHAPE2(2, 3, huge, huge)}), "beyond 64 bits");
    expect_error(!reads((claim){SHAPE2(2, 3, huge, 1)}), "beyond 64 bits");
    expect_error(!reads((claim){SHAPE2(1, 1, 1, 1), .offset = huge}), "beyond 64 bits");
    expect_error(!reads((claim){SHAPE2(wide, 2, 0, 1)}), "of a file that has far fewer");
    expect_error(!reads((claim){SHAPE2(2, 3, 3, 1), .count = 7}),
                 "the storage has 28 bytes, its entry \"x/data/0\" has 24");
    expect_error(!reads((claim){SHAPE2(2, 3, 3, 1), .count = huge}), "are too many");
    expect_error(!reads((claim){SHAPE2(2, 3, 3, 1), .storage = "DoubleStorage"}), "has 48 bytes");
    expect_error(!reads((claim){SHAPE2(2, 3, 3, 1), .storage = "OddStorage"}), "torch.OddStorage is no type");
    expect_error(!reads((claim){SHAPE2(2, 3, 3, 1), .storage = "QInt8Storage"}), "is a quantised tensor");
    expect_error(!reads((claim){SHAPE2(2, 3, 3, 1), .key = "1"}), "no entry \"x/data/1\"");
    expect_error(!reads((claim){SHAPE2(2, 3, 3, 1), .key = "a\nb"}), "is no name of an entry");
    expect_error(!reads((claim){SHAPE2(2, 3, 3, 1), .function = "_rebuild_odd"}),
                 "torch._utils._rebuild_odd is not a way");
    expect_error(!reads((claim){SHAPE2(2, 3, 3, 1), .function = "_rebuild_tensor_v3"}), "has 6 arguments of 7");
    expect_error(!reads((claim){SHAPE2(2, 3, 3, 1), .function = "_rebuild_parameter"}), "is not a way to rebuild");
    expect_error(!reads((claim){SHAPE2(2, 3, 3, 1), .function = "_rebuild_sparse_tensor"}), "\"t\" is a sparse tensor");
    /* a parameter of a parameter of a ... */
    fv_buf b = {0};
    fv_buf_putn(&b, "\x80\2}", 3);
    text(&b, "t");
    for (int i = 0; i < 10; i++) fv_buf_puts(&b, "ctorch._utils\n_rebuild_parameter\n(");
    fv_buf_puts(&b, "N");
    for (int i = 0; i < 10; i++) fv_buf_putn(&b, "\x89}tR", 4);
    fv_buf_puts(&b, "s.");
    expect_error(!reads_archive(&b), "is wrapped more than 8 times");
    fv_buf_dispose(&b);
    /* dicts shared by the thousand are not looked through one by one */
    fv_buf_putn(&b, "\x80\2}(", 4);
    fv_buf_putn(&b, "Nq\0}q\1(", 7);
    for (int i = 0; i < 60000; i++) fv_buf_putn(&b, "h\0h\0", 4);
    fv_buf_puts(&b, "u");
    for (int i = 0; i < 60000; i++) fv_buf_putn(&b, "h\0h\1", 4);
    fv_buf_puts(&b, "u.");
    expect_error(!reads_archive(&b), "too many dicts to look through");
    fv_buf_dispose(&b);
}

/* -- Mutations ---- */
static uint64_t state = 88172645463325252u;
static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}
static void mutate(unsigned char *b, size_t n) {
    static const uint32_t extremes[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xffff, 0xfffe, 0x10000, 0x02014b50};
    size_t at = next() % n;
    switch (next() % 5) {
    case 0: b[at] ^= (unsigned char)(1 << next() % 8); break;
    case 1: b[at] = (unsigned char)next(); break;
    case 2:
        if (at + 4 <= n) memcpy(b + at, &extremes[next() % (sizeof extremes / sizeof *extremes)], 4);
        break;
    case 3: {
        size_t from = next() % n, k = 1 + next() % 40;
        if (from + k <= n && at + k <= n) memmove(b + at, b + from, k);
        break;
    }
    default: b[at] = (unsigned char)"().}]NKJXhqrtRbQcesu0"[next() % 21];
    }
}
static const char *const corpus[] = {"plain",     "views",    "trained",  "special",
                                     "protocol4", "rezipped", "averaged", "nested"};
enum { N_CORPUS = sizeof corpus / sizeof *corpus, ROUNDS = 4000 };

Test(io_pth, survives_mutations, .init = begin, .fini = end) {
    const char *more = getenv("FOVEA_FUZZ_ROUNDS");
    int rounds = more ? atoi(more) : ROUNDS;
    uint64_t sum = 0;
    int accepted = 0, refused = 0;
    for (int f = 0; f < N_CORPUS; f++) {
        fv_bytes file;
        cr_assert(fv_file_read(ctx, fv_printf(ctx, "%s/data/pth/%s.pth", FOVEA_TESTS_DIR, corpus[f]), 1 << 20, &file));
        cr_assert(is(read_bytes(file.data, file.n, &sum)), "%s: %s", corpus[f], first_error());
        for (size_t n = 0; n < file.n; n += 7)
            cr_assert(is(!read_bytes(file.data, n, &sum)), "%s cut to %zu", corpus[f], n);
        unsigned char *copy = malloc(file.n);
        for (int i = 0; i < rounds; i++) {
            memcpy(copy, file.data, file.n);
            /* most of them where the pickle and the directory are */
            size_t k = 1 + next() % 3, from = next() % 4 ? 64 : file.n * 2 / 3;
            while (k--) mutate(copy + from, next() % 2 && from == 64 ? 600 : file.n - from);
            *(read_bytes(copy, file.n, &sum) ? &accepted : &refused) += 1;
            fv_diag_clear(ctx);
            if (i % 500 == 0) end(), begin();
        }
        free(copy);
        fv_bytes_dispose(&file);
    }
    cr_expect(is(accepted > rounds / 10 && refused > rounds), "%d accepted, %d refused, sum %llu", accepted, refused,
              (unsigned long long)sum);
}
