/* The laws of flat kernels: one text that breaks each, and what is said of it. */
#include "kernel/flat.h"

#include <criterion/criterion.h>
#include <string.h>

#define HEAD "flat k { programs 4 scratch 256 group 4 tensor X in f32 [n 64*1] tensor O out f32 [n 64*1] " \
             "tensor H out f16 [n 64*1] "
#define ITEMS(body) HEAD "for group 0 g = 0 to 4 { for item t = 0 to 4 { " body " } } }"
#define PLAIN(body) HEAD "for programs p { " body " } }"

#define UNIT(body, sums, type, outside)                                                                                \
    "flat k { programs 4 scratch 4096 group 4 unit emu tensor H in bf16 [n 64*1] tensor X in f32 [n 64*1] "              \
    "for group 0 g = 0 to 4 { alloc a local " type                     \
    "[400] at 0 alloc b local bf16[400] at 2048 " outside " for item t = 0 to 4 { alloc c frag f32[" sums "] " body " } } }"

/* want NULL: nothing is broken */
static const struct { const char *text, *want;
} cases[] = {
    /* names */
    {PLAIN("let a : i32 = 1 let a : i32 = 2"), "a is bound although a variable of that name is in scope"},
    {PLAIN("for p = 0 to 3 { }"), "p is bound although"},
    {PLAIN("alloc X reg f32[1]"), "X is bound although a memory of that name"},
    /* types and lanes */
    {PLAIN("let a : i32 = 1 + 1.5"), "'+' is given operands of types or lanes"},
    {PLAIN("let a : f32 = 1.0 + (splat<4>(1.0))"), "'+' is given operands"},
    {PLAIN("let a : bool = true + false"), "'+' is given operands"},
    {PLAIN("let a : i32 = 1 and true"), "'and' is given operands"},
    {PLAIN("let a : i32 = exp(1)"), "'exp' is given operands"},
    {PLAIN("let a : f32 = where(1, 2.0, 3.0)"), "'where' is given operands"},
    {PLAIN("let a : f32x8 = splat<8>(splat<4>(1.0))"), "'splat' is given operands"},
    {PLAIN("let a : f32x4 = shuffle(splat<4>(1.0), splat<4>(2.0), 0, 1, 2, 8)"), "'shuffle' is given operands"},
    {PLAIN("let a : f32 = extract(splat<4>(1.0), p)"), "'extract' is given operands"},
    {PLAIN("let a : f32 = fma(1.0, 2.0, 3)"), "'fma' is given operands"},
    {PLAIN("let a : f32 = convert<f32>(true)"), "'convert' is given operands"},
    {PLAIN("let a : bool = any(true)"), "'any' has no meaning at the flat stage"},
    /* conditions and bounds */
    {PLAIN("if 1 { }"), "a condition is no scalar bool"},
    {PLAIN("assert iota<4> < splat<4>(2)"), "a condition is no scalar bool"},
    {PLAIN("for i = 0 to 2.0 { }"), "a bound of i is no scalar i32"},
    {PLAIN("for i { }"), "a loop over i without bounds"},
    {PLAIN("for i = 0 to 4 step 0 { }"), "the step of i is 0"},
    /* accesses */
    {PLAIN("let a : f32 = load X[1.0]"), "an offset into X is not i32"},
    {PLAIN("let a : f32x4 = load<4> X[0, true, 0.0]"), "the mask of a load of X is not bool with 4 lanes"},
    {PLAIN("let a : f32x4 = load<4> X[0, iota<4> < splat<4>(2), 0]"), "the fill of a load of X has another type"},
    {PLAIN("let a : f32 = guard<1, 4> X[0, 4, true]"), "the offset of a guarded load of X is not in 0..4"},
    {PLAIN("let a : f32 = guard<1, 4> X[0, 0, 1]"), "the guard of a load of X is no scalar bool"},
    {PLAIN("let a : f32x4 = perm<4> X[0, iota<8>]"), "a permutation of X is not i32 with 4 lanes"},
    {PLAIN("let a : f32x4 = gather<4> X[0]"), "an offset into X is not i32"},
    /* registers */
    {PLAIN("alloc r reg f32[4] let a : f32 = load r[p]"), "loads register of r whose number is not constant"},
    {PLAIN("alloc r reg f32[4] store r[4] = 1.0"), "stores register 4 of r, which has 4"},
    {PLAIN("alloc r reg f32x8[4] store r[0] = 1.0"), "stores 1 lanes of r, whose registers have 8"},
    {PLAIN("alloc r reg f32[4] store r[0] = 1.0 mask true"), "registers r are stored whole"},
    /* stores */
    {PLAIN("store X[0] = 1.0"), "X is an input and is stored to"},
    {PLAIN("store H[0] = 1.0"), "f32 is stored to H, whose elements are f16"},
    {PLAIN("store<4> O[0] = splat<4>(1.0) mask true"), "the mask of a store to O is not bool with 4 lanes"},
    {PLAIN("store<4> O[0] = splat<4>(1.0) scatter 0"), "the scatter of a store to O is not i32 with 4 lanes"},
    {PLAIN("store O[true] = 1.0"), "the offset of a store to O is no scalar i32"},
    /* fragments */
    {PLAIN("frag zero 0"), "fragments are not configured here"},
    {PLAIN("frag config 17, 4, 6 frag end"), "fragments have 1 to 16 rows, not 17"},
    {PLAIN("frag config 16, 4, 4 frag end"), "leave no registers for C, A or B"},
    {PLAIN("frag config 16, 4, 8 frag end"), "leave no registers for C, A or B"},
    {PLAIN("frag config 16, 4, 6 frag config 16, 4, 6 frag end"), "configured while others are in use"},
    {PLAIN("if p < 2 { frag config 16, 4, 6 }"), "in a block that leaves them otherwise"},
    {PLAIN("frag config 16, 4, 6 frag dot 4, 4, 6 frag end"), "fragment 4 is one of A where one of C belongs"},
    {PLAIN("frag config 16, 4, 6 frag dot 0, 4, 5 frag end"), "fragment 5 is one of A where one of B belongs"},
    {PLAIN("frag config 16, 4, 6 frag dot 0, 4, 8 frag end"), "fragment 8: there are 8"},
    {PLAIN("frag config 16, 4, 6 frag load 4, X[0], 32 frag end"), "fragment 4 is of bf16, the elements of X are f32"},
    {PLAIN("frag config 16, 4, 6 frag load 0, X[0], 20 frag end"), "lie 20 elements apart in X: multiples of 64 bytes"},
    {PLAIN("frag config 16, 4, 6 frag load 0, X[8], 16 frag end"), "starts at element 8 of X: multiples of 64 bytes"},
    {PLAIN("frag config 16, 4, 6 frag store 0, X[0], 16 frag end"), "X is an input and is stored to"},
    {ITEMS("frag config 16, 4, 6 frag end"), "fragments inside of the item loop"},
    /* products of sub-groups */
    {UNIT("mma c[0], a[0], 24, b[0], 24", "64", "bf16", ""), NULL},
    {ITEMS("alloc c frag f32[64]"), "c holds sums of a matrix unit, and the kernel names none"},
    {UNIT("", "60", "bf16", ""), "c has 60 elements: multiples of the 64 that an item of emu has"},
    {UNIT("mma c[8], a[0], 24, b[0], 24", "64", "bf16", ""), "C of mma starts at element 8 of c: multiples of 64"},
    {UNIT("mma c[0], a[4], 24, b[0], 24", "64", "bf16", ""), "A of mma starts at element 4 of a: multiples of 8"},
    {UNIT("mma c[0], a[0], 20, b[0], 24", "64", "bf16", ""), "rows of a lie 20 elements apart for mma"},
    {UNIT("mma c[0], a[0], 24, b[0], 24", "64", "f16", ""), "A of mma is f16, B is bf16"},
    {UNIT("mma c[0], a[0], 24, b[0], 24", "64", "f32", ""), "A of mma, a, is f32: bf16 or f16"},
    {UNIT("mma c[0], c[0], bf16, b[0], 24", "64", "bf16", ""), NULL},
    {UNIT("mma c[0], c[0], f32, b[0], 24", "64", "bf16", ""), "A of mma, c, is rounded to f32: bf16 or f16"},
    {UNIT("alloc p private f32[64] mma c[0], p[0], 24, b[0], 24", "64", "bf16", ""), "A of mma, p, is not local"},
    {UNIT("alloc p private f32[4] rows max p[3] rows sum p[0]", "64", "bf16", ""), NULL},
    {UNIT("rows sum c[0]", "64", "bf16", ""), "rows of c, which is no private f32"},
    {UNIT("alloc p private f32[4] if t < 2 { rows max p[3] }", "64", "bf16", ""), "rows that some items of a group may not reach"},
    {UNIT("mma a[0], a[0], 24, b[0], 24", "64", "bf16", ""), "C of mma, a, is no memory of sums"},
    {UNIT("if t < 2 { mma c[0], a[0], 24, b[0], 24 }", "64", "bf16", ""), "mma that some items of a group may not reach"},
    {UNIT("", "64", "bf16", "mma b[0], b[0], 24, b[0], 24"), "mma outside of the item loop"},
    {UNIT("copy a[0], H[8]", "64", "bf16", ""), NULL},
    {UNIT("copy a[4], H[8]", "64", "bf16", ""), "a copy starts at element 4 of a: multiples of 8"},
    {UNIT("copy c[0], H[8]", "64", "bf16", ""), "a copy goes to c, which is not local"},
    {UNIT("copy a[0], X[8]", "64", "bf16", ""), "a copy from X, f32, to a, bf16: both have one type of 16 bits"},
    {UNIT("", "64", "bf16", "copy b[0], H[0]"), "copy outside of the item loop"},
    /* memory */
    {HEAD "alloc l local f32[4] at 32 }", "l stands at byte 32 of local memory"},
    {HEAD "alloc l local f32[33] at 128 }", "l ends at byte 260 of local memory, which has 256"},
    {HEAD "alloc l local f32[32] at 128 store l[32] = 0.0 }", "stores elements 32..32 of l, which has 32"},
    {HEAD "alloc l local f32x4[4] at 0 }", "l has elements of 4 lanes"},
    {HEAD "alloc l local f32[0] at 0 }", "l has 0 elements"},
    {HEAD "alloc l private f32[4] }", "l is private and stands outside of the item loop"},
    {HEAD "alloc l global f32[4] }", "l is global: tensors are parameters"},
    {ITEMS("alloc l local f32[4] at 0"), "l is local and stands inside the item loop"},
    /* loops over programs, groups, items */
    {HEAD "for i = 0 to 2 { for programs p { } } }", "the loop over programs is the outermost one"},
    {HEAD "for item t = 0 to 4 { } }", "an item loop outside of group loops"},
    {HEAD "for group 0 g = 0 to 4 { for item t = 0 to 5 { } } }", "the item loop runs from 0 to the group size, 4"},
    {HEAD "for group 0 g = 0 to 4 { for group 0 h = 0 to 4 { } } }", "group dimension 0 is taken"},
    {ITEMS("for item u = 0 to 4 { }"), "an item loop inside an item loop"},
    {ITEMS("for group 1 h = 0 to 4 { }"), "a group loop inside of programs or items"},
    /* barriers */
    {PLAIN("barrier"), "a barrier outside of the item loop"},
    {ITEMS("if t < 2 { barrier }"), "a barrier that some items of a group may not reach"},
    {ITEMS("for i = 0 to t { barrier }"), "a barrier that some items"},
    {ITEMS("let a : i32 = t * 2 for i = 0 to 3 { if a + i == 2 { } else { barrier } }"), "a barrier that some items"},
    {ITEMS("if load X[t] < 0.0 { barrier }"), "a barrier that some items"},
    {ITEMS("alloc r reg i32[1] store r[0] = t if load r[0] == 0 { barrier }"), "a barrier that some items"},
};

Test(flat_verify, laws) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fv_ctx *ctx = fv_ctx_new();
        fv_flat_kernel *k = fv_flat_parse(ctx, "law", cases[i].text);
        cr_assert(k, "%s: %s", cases[i].text, fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "");
        int faults = fv_flat_verify(k);
        bool found = !cases[i].want;
        for (int j = 0; !found && j < fv_diag_count(ctx); j++) found |= strstr(fv_diag_at(ctx, j)->text, cases[i].want) != NULL;
        cr_expect((faults > 0) == (cases[i].want != NULL) && found, "%s: %d faults, %s", cases[i].text, faults, fv_diag_count(ctx)
                  ? fv_diag_at(ctx, 0)->text : "nothing said");
        fv_ctx_dispose(ctx);
    }
}

/* Trees that no text has: a variable that nothing binds, or binds to another type; memory out of scope; an axis of the
 * tile stage. */
Test(flat_verify, built_trees) {
    for (int which = 0; which < 4; which++) {
        static const char *const want[] = { "is read where nothing of that name is bound",
                "is read as f32 with 1 lanes and bound as i32",
                                            "which is no tensor of the kernel and no memory in scope",
                                                "has no meaning at the flat stage" };
        fv_ctx *ctx = fv_ctx_new();
        fv_flat_kernel *k = FV_NEW(ctx, fv_flat_kernel);
        fv_flats list = { 0 };
        k->ctx = ctx;
        fv_flat *a = fv_flats_add(&list, fv_flat_new(ctx, FV_L_LET)),
            *b = fv_flats_add(&list, fv_flat_new(ctx, FV_L_LET));
        fv_memory *m = FV_NEW(ctx, fv_memory);
        *m = (fv_memory){ .obj = { .kind = FV_OBJ_BUFFER, .name = fv_intern(ctx, "m"), .type = FV_F32, .rank = 1 },
                .lanes = 1, .count = 4 };
        const fv_expr *zero = fv_int(ctx, 0);
        a->name = fv_intern(ctx, "a");
        a->expr = zero;
        b->name = fv_intern(ctx, "b");
        b->expr = which == 0 ? fv_var(ctx, fv_intern(ctx, "c"), FV_I32) : which == 1 ? fv_var(ctx, a->name, FV_F32) :
                  which == 2 ? fv_make(ctx, FV_X_LOAD, FV_F32, 1, 0, &m->obj, &zero, 1)
                      : fv_axis_ref(ctx, fv_intern(ctx, "q"));
        k->body = list.first;
        cr_expect(fv_flat_verify(k) > 0);
        cr_expect(fv_diag_count(ctx) && strstr(fv_diag_at(ctx, 0)->text, want[which]), "%s", fv_diag_count(ctx)
                  ? fv_diag_at(ctx, 0)->text : "nothing");
        fv_ctx_dispose(ctx);
    }
}

Test(flat_verify, accepts) {
    static const char *const good[] = {
        ITEMS("barrier if g < 2 { barrier } for i = 0 to g { let u : f32 = load X[i] if u < 0.0 { barrier } }"),
        PLAIN("alloc r reg f32x4[2] for i = 0 to p { let a : f32x4 = load<4> X[i, iota<4> < splat<4>(i), "
              "splat<4>(0.0)] store<4> r[1] = a }"),
        HEAD "alloc l local f32[64] at 0 for group 0 g = 0 to 4 { for item t = 0 to 4 { store l[t] = 0.0 if t == 0 { "
             "store O[g] = load l[0] } "
             "let u : f32 = load l[0] if u < 1.0 { barrier } } } }",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        fv_ctx *ctx = fv_ctx_new();
        fv_flat_kernel *k = fv_flat_parse(ctx, "good", good[i]);
        cr_assert(k, "%s", fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "");
        cr_expect(fv_flat_verify(k) == 0, "%s: %s", good[i], fv_diag_count(ctx) ? fv_diag_at(ctx, 0)->text : "");
        fv_ctx_dispose(ctx);
    }
}
