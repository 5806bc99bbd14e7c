/* The opcodes of pickles: each takes its operand and what it wants from the stack, and leaves a node. Invariant: an
 * opcode checks the kinds of what it takes, and none does more than make, fill or name nodes. */
#include "io/pickle_machine.h"

#include <string.h>

enum { MOST_NAME = 200 };

/* -- Scalars and texts ---- */
static bool push_whole(fv_pickle_machine *m, fv_pv_kind kind, int64_t i) {
    fv_pv *v = fv_pm_make(m, kind);
    if (v) v->u.i = i;
    return fv_pm_push(m, v);
}
static bool op_none(fv_pickle_machine *m) { return fv_pm_push(m, fv_pm_make(m, FV_PV_NONE)); }
static bool op_true(fv_pickle_machine *m) { return push_whole(m, FV_PV_BOOL, 1); }
static bool op_false(fv_pickle_machine *m) { return push_whole(m, FV_PV_BOOL, 0); }
static bool op_int(fv_pickle_machine *m) {
    const unsigned char *p;
    return fv_pm_take(m, 4, &p) && push_whole(m, FV_PV_INT, (int32_t)fv_little(p, 4));
}
static bool op_int1(fv_pickle_machine *m) {
    const unsigned char *p;
    return fv_pm_take(m, 1, &p) && push_whole(m, FV_PV_INT, p[0]);
}
static bool op_int2(fv_pickle_machine *m) {
    const unsigned char *p;
    return fv_pm_take(m, 2, &p) && push_whole(m, FV_PV_INT, (int64_t)fv_little(p, 2));
}
/* Two's complement of any length; what does not fit 64 bits keeps no value. */
static bool push_long(fv_pickle_machine *m, const unsigned char *p, uint64_t n) {
    if (n > 8) return fv_pm_push(m, fv_pm_make(m, FV_PV_LONG));
    uint64_t bits = fv_little(p, (int)n);
    if (n > 0 && n < 8 && p[n - 1] & 0x80) bits |= ~UINT64_C(0) << (8 * n);
    return push_whole(m, FV_PV_INT, (int64_t)bits);
}
static bool op_long1(fv_pickle_machine *m) {
    const unsigned char *p;
    uint64_t n;
    return fv_pm_take_counted(m, 1, &p, &n) && push_long(m, p, n);
}
static bool op_long4(fv_pickle_machine *m) {
    const unsigned char *p;
    uint64_t n;
    return fv_pm_take_counted(m, 4, &p, &n) && push_long(m, p, n);
}
static bool op_float(fv_pickle_machine *m) {
    const unsigned char *p;
    uint64_t bits = 0;
    if (!fv_pm_take(m, 8, &p)) return false;
    for (int i = 0; i < 8; i++) bits = bits << 8 | p[i];
    fv_pv *v = fv_pm_make(m, FV_PV_FLOAT);
    if (v) memcpy(&v->u.f, &bits, 8);
    return fv_pm_push(m, v);
}
static bool counted(fv_pickle_machine *m, fv_pv_kind kind, int bytes) {
    const unsigned char *p;
    uint64_t n;
    if (!fv_pm_take_counted(m, bytes, &p, &n)) return false;
    fv_pv *v = fv_pm_make(m, kind);
    if (!v) return false;
    v->u.text.p = (const char *)p;
    v->u.text.n = (uint32_t)n;
    return fv_pm_push(m, v);
}
static bool op_text1(fv_pickle_machine *m) { return counted(m, FV_PV_TEXT, 1); }
static bool op_text4(fv_pickle_machine *m) { return counted(m, FV_PV_TEXT, 4); }
static bool op_text8(fv_pickle_machine *m) { return counted(m, FV_PV_TEXT, 8); }
static bool op_bytes1(fv_pickle_machine *m) { return counted(m, FV_PV_BYTES, 1); }
static bool op_bytes4(fv_pickle_machine *m) { return counted(m, FV_PV_BYTES, 4); }
static bool op_bytes8(fv_pickle_machine *m) { return counted(m, FV_PV_BYTES, 8); }

/* -- Containers ---- */
static bool op_empty_tuple(fv_pickle_machine *m) { return fv_pm_push(m, fv_pm_make(m, FV_PV_TUPLE)); }
static bool op_empty_list(fv_pickle_machine *m) { return fv_pm_push(m, fv_pm_make(m, FV_PV_LIST)); }
static bool op_empty_dict(fv_pickle_machine *m) { return fv_pm_push(m, fv_pm_make(m, FV_PV_DICT)); }
static bool op_empty_set(fv_pickle_machine *m) { return fv_pm_push(m, fv_pm_make(m, FV_PV_SET)); }
static bool op_mark(fv_pickle_machine *m) {
    if (m->n_marks == FV_PICKLE_MARKS) return FV_PM_REFUSE(m, "marks are nested more than %d deep", FV_PICKLE_MARKS);
    m->marks[m->n_marks++] = m->n_stack;
    return true;
}
static bool gather(fv_pickle_machine *m, fv_pv_kind kind) {
    fv_pv **v, *made;
    size_t n;
    if (!fv_pm_pop_mark(m, &v, &n)) return false;
    if (kind == FV_PV_DICT && n % 2) return FV_PM_REFUSE(m, "%s finds a key without a value", fv_pm_op_name(m));
    made = fv_pm_make(m, kind);
    return made && fv_pm_extend(m, &made->u.list, v, n) && fv_pm_push(m, made);
}
static bool op_tuple(fv_pickle_machine *m) { return gather(m, FV_PV_TUPLE); }
static bool op_list(fv_pickle_machine *m) { return gather(m, FV_PV_LIST); }
static bool op_dict(fv_pickle_machine *m) { return gather(m, FV_PV_DICT); }
static bool op_frozenset(fv_pickle_machine *m) { return gather(m, FV_PV_SET); }
static bool tuple_of(fv_pickle_machine *m, size_t n) {
    if (m->n_stack - fv_pm_floor(m) < n)
        return fv_pm_pop(m), FV_PM_REFUSE(m, "%s finds too few values on the stack", fv_pm_op_name(m));
    fv_pv *made = fv_pm_make(m, FV_PV_TUPLE);
    if (!made || !fv_pm_extend(m, &made->u.list, m->stack + m->n_stack - n, n)) return false;
    m->n_stack -= n;
    return fv_pm_push(m, made);
}
static bool op_tuple1(fv_pickle_machine *m) { return tuple_of(m, 1); }
static bool op_tuple2(fv_pickle_machine *m) { return tuple_of(m, 2); }
static bool op_tuple3(fv_pickle_machine *m) { return tuple_of(m, 3); }

/* Adds to what is on top: a list, set or dict, or the result of a call, which may be any of these. */
static bool add(fv_pickle_machine *m, fv_pv_kind kind, fv_pv *const *v, size_t n) {
    fv_pv *to = fv_pm_top(m);
    if (!to) return false;
    if (kind == FV_PV_DICT && n % 2) return FV_PM_REFUSE(m, "%s finds a key without a value", fv_pm_op_name(m));
    if (to->kind == kind) return fv_pm_extend(m, &to->u.list, v, n);
    if (to->kind != FV_PV_CALL)
        return FV_PM_REFUSE(m, "%s wants %s, finds %s", fv_pm_op_name(m), fv_pv_kind_name(kind),
                            fv_pv_kind_name(to->kind));
    return fv_pm_extend(m, kind == FV_PV_DICT ? &to->u.call->pairs : &to->u.call->items, v, n);
}
static bool add_marked(fv_pickle_machine *m, fv_pv_kind kind) {
    fv_pv **v;
    size_t n;
    return fv_pm_pop_mark(m, &v, &n) && add(m, kind, v, n);
}
static bool op_append(fv_pickle_machine *m) {
    fv_pv *v = fv_pm_pop(m);
    return v && add(m, FV_PV_LIST, &v, 1);
}
static bool op_setitem(fv_pickle_machine *m) {
    fv_pv *v[2];
    v[1] = fv_pm_pop(m);
    v[0] = v[1] ? fv_pm_pop(m) : NULL;
    return v[0] && add(m, FV_PV_DICT, v, 2);
}
static bool op_appends(fv_pickle_machine *m) { return add_marked(m, FV_PV_LIST); }
static bool op_setitems(fv_pickle_machine *m) { return add_marked(m, FV_PV_DICT); }
static bool op_additems(fv_pickle_machine *m) { return add_marked(m, FV_PV_SET); }

/* -- Stack and memo ---- */
static bool op_pop(fv_pickle_machine *m) {
    if (m->n_stack == fv_pm_floor(m) && m->n_marks) return m->n_marks--, true;
    return fv_pm_pop(m) != NULL;
}
static bool op_pop_mark(fv_pickle_machine *m) {
    fv_pv **v;
    size_t n;
    return fv_pm_pop_mark(m, &v, &n);
}
static bool op_put1(fv_pickle_machine *m) {
    const unsigned char *p;
    return fv_pm_take(m, 1, &p) && fv_pm_put(m, p[0]);
}
static bool op_put4(fv_pickle_machine *m) {
    const unsigned char *p;
    return fv_pm_take(m, 4, &p) && fv_pm_put(m, fv_little(p, 4));
}
static bool op_memoize(fv_pickle_machine *m) { return fv_pm_put(m, m->n_memo); }
static bool op_get1(fv_pickle_machine *m) {
    const unsigned char *p;
    return fv_pm_take(m, 1, &p) && fv_pm_get(m, p[0]);
}
static bool op_get4(fv_pickle_machine *m) {
    const unsigned char *p;
    return fv_pm_take(m, 4, &p) && fv_pm_get(m, fv_little(p, 4));
}

/* -- Classes, calls, persistent ids: recorded, never followed ---- */
static bool name_part(const char *s, size_t n) {
    if (n == 0 || n > MOST_NAME) return false;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '_' && c != '.')
            return false;
    }
    return true;
}
static bool push_global(fv_pickle_machine *m, const char *module, size_t n, const char *name, size_t k) {
    if (!name_part(module, n) || !name_part(name, k))
        return FV_PM_REFUSE(m, "%s names what is no class: letters, digits, _ and . are read", fv_pm_op_name(m));
    fv_pv *v = fv_pm_make(m, FV_PV_GLOBAL);
    if (!v) return false;
    char *text = fv_arena_alloc(m->arena, n + k + 2);
    memcpy(text, module, n);
    text[n] = '.';
    memcpy(text + n + 1, name, k);
    v->u.name = text;
    return fv_pm_push(m, v);
}
static bool op_global(fv_pickle_machine *m) {
    const char *part[2];
    size_t n[2];
    for (int i = 0; i < 2; i++) {
        const unsigned char *end = memchr(m->b + m->at, '\n', m->n - m->at);
        if (!end) return FV_PM_REFUSE(m, "the stream ends inside the operand of GLOBAL");
        part[i] = (const char *)m->b + m->at;
        n[i] = (size_t)(end - (m->b + m->at));
        m->at += n[i] + 1;
    }
    return push_global(m, part[0], n[0], part[1], n[1]);
}
static bool op_stack_global(fv_pickle_machine *m) {
    const fv_pv *name = fv_pm_pop(m), *module = name ? fv_pm_pop(m) : NULL;
    if (!module) return false;
    if (name->kind != FV_PV_TEXT || module->kind != FV_PV_TEXT) return FV_PM_REFUSE(m, "STACK_GLOBAL wants two texts");
    return push_global(m, module->u.text.p, module->u.text.n, name->u.text.p, name->u.text.n);
}
static bool call(fv_pickle_machine *m, const fv_pv *callee, const fv_pv *args) {
    if (callee->kind != FV_PV_GLOBAL && callee->kind != FV_PV_CALL)
        return FV_PM_REFUSE(m, "%s wants a class or function, finds %s", fv_pm_op_name(m),
                            fv_pv_kind_name(callee->kind));
    if (args->kind != FV_PV_TUPLE)
        return FV_PM_REFUSE(m, "%s wants a tuple of arguments, finds %s", fv_pm_op_name(m),
                            fv_pv_kind_name(args->kind));
    fv_pv *v = fv_pm_make(m, FV_PV_CALL);
    if (!v) return false;
    v->u.call = fv_arena_alloc(m->arena, sizeof *v->u.call);
    v->u.call->callee = callee;
    v->u.call->args = args;
    return fv_pm_push(m, v);
}
static bool op_call(fv_pickle_machine *m) {
    const fv_pv *args = fv_pm_pop(m), *callee = args ? fv_pm_pop(m) : NULL;
    return callee && call(m, callee, args);
}
static bool op_newobj_ex(fv_pickle_machine *m) {
    const fv_pv *named = fv_pm_pop(m), *args = named ? fv_pm_pop(m) : NULL, *callee = args ? fv_pm_pop(m) : NULL;
    if (!callee) return false;
    if (named->kind != FV_PV_DICT)
        return FV_PM_REFUSE(m, "NEWOBJ_EX wants a dict, finds %s", fv_pv_kind_name(named->kind));
    return call(m, callee, args);
}
static bool op_build(fv_pickle_machine *m) {
    const fv_pv *state = fv_pm_pop(m);
    fv_pv *to = state ? fv_pm_top(m) : NULL;
    if (!to) return false;
    if (to->kind != FV_PV_CALL) return FV_PM_REFUSE(m, "BUILD wants an object, finds %s", fv_pv_kind_name(to->kind));
    to->u.call->state = state;
    return true;
}
static bool op_persistent(fv_pickle_machine *m) {
    const fv_pv *of = fv_pm_pop(m);
    fv_pv *v = of ? fv_pm_make(m, FV_PV_STORED) : NULL;
    if (v) v->u.of = of;
    return fv_pm_push(m, v);
}

/* -- The stream itself ---- */
static bool op_proto(fv_pickle_machine *m) {
    const unsigned char *p;
    if (!fv_pm_take(m, 1, &p)) return false;
    if (m->op != 0) return FV_PM_REFUSE(m, "PROTO stands inside the stream");
    return p[0] >= 2 && p[0] <= 5 ? true : FV_PM_REFUSE(m, "pickle protocol %d is not read: 2 to 5 are", p[0]);
}
static bool op_frame(fv_pickle_machine *m) {
    const unsigned char *p;
    if (!fv_pm_take(m, 8, &p)) return false;
    return fv_little(p, 8) <= m->n - m->at ? true : FV_PM_REFUSE(m, "a frame reaches beyond the stream");
}

/* Those with `run` are read; the others are named when they are refused. */
typedef bool action(fv_pickle_machine *m);
typedef struct {
    const char *name;
    action *run;
} opcode;
static const opcode opcodes[256] = {
    [0x80] = {"PROTO", op_proto},
    [0x95] = {"FRAME", op_frame},
    ['.'] = {"STOP", NULL},
    ['('] = {"MARK", op_mark},
    ['0'] = {"POP", op_pop},
    ['1'] = {"POP_MARK", op_pop_mark},
    ['N'] = {"NONE", op_none},
    [0x88] = {"NEWTRUE", op_true},
    [0x89] = {"NEWFALSE", op_false},
    ['J'] = {"BININT", op_int},
    ['K'] = {"BININT1", op_int1},
    ['M'] = {"BININT2", op_int2},
    [0x8a] = {"LONG1", op_long1},
    [0x8b] = {"LONG4", op_long4},
    ['G'] = {"BINFLOAT", op_float},
    ['X'] = {"BINUNICODE", op_text4},
    [0x8c] = {"SHORT_BINUNICODE", op_text1},
    [0x8d] = {"BINUNICODE8", op_text8},
    ['T'] = {"BINSTRING", op_text4},
    ['U'] = {"SHORT_BINSTRING", op_text1},
    ['B'] = {"BINBYTES", op_bytes4},
    ['C'] = {"SHORT_BINBYTES", op_bytes1},
    [0x8e] = {"BINBYTES8", op_bytes8},
    [0x96] = {"BYTEARRAY8", op_bytes8},
    [')'] = {"EMPTY_TUPLE", op_empty_tuple},
    ['t'] = {"TUPLE", op_tuple},
    [0x85] = {"TUPLE1", op_tuple1},
    [0x86] = {"TUPLE2", op_tuple2},
    [0x87] = {"TUPLE3", op_tuple3},
    [']'] = {"EMPTY_LIST", op_empty_list},
    ['l'] = {"LIST", op_list},
    ['a'] = {"APPEND", op_append},
    ['e'] = {"APPENDS", op_appends},
    ['}'] = {"EMPTY_DICT", op_empty_dict},
    ['d'] = {"DICT", op_dict},
    ['s'] = {"SETITEM", op_setitem},
    ['u'] = {"SETITEMS", op_setitems},
    [0x8f] = {"EMPTY_SET", op_empty_set},
    [0x90] = {"ADDITEMS", op_additems},
    [0x91] = {"FROZENSET", op_frozenset},
    ['q'] = {"BINPUT", op_put1},
    ['r'] = {"LONG_BINPUT", op_put4},
    [0x94] = {"MEMOIZE", op_memoize},
    ['h'] = {"BINGET", op_get1},
    ['j'] = {"LONG_BINGET", op_get4},
    ['c'] = {"GLOBAL", op_global},
    [0x93] = {"STACK_GLOBAL", op_stack_global},
    ['R'] = {"REDUCE", op_call},
    [0x81] = {"NEWOBJ", op_call},
    [0x92] = {"NEWOBJ_EX", op_newobj_ex},
    ['b'] = {"BUILD", op_build},
    ['Q'] = {"BINPERSID", op_persistent},
    /* read by Python, needed by no checkpoint */
    ['F'] = {"FLOAT", NULL},
    ['I'] = {"INT", NULL},
    ['L'] = {"LONG", NULL},
    ['P'] = {"PERSID", NULL},
    ['S'] = {"STRING", NULL},
    ['V'] = {"UNICODE", NULL},
    ['2'] = {"DUP", NULL},
    ['g'] = {"GET", NULL},
    ['i'] = {"INST", NULL},
    ['o'] = {"OBJ", NULL},
    ['p'] = {"PUT", NULL},
    [0x82] = {"EXT1", NULL},
    [0x83] = {"EXT2", NULL},
    [0x84] = {"EXT4", NULL},
    [0x97] = {"NEXT_BUFFER", NULL},
    [0x98] = {"READONLY_BUFFER", NULL},
};

const char *fv_pickle_op_name(unsigned char op) { return opcodes[op].name; }

static const fv_pv *finish(fv_pickle_machine *m) {
    if (m->n_marks || m->n_stack != 1) {
        FV_PM_REFUSE(m, "STOP finds %zu values and %d marks where one value should be", m->n_stack, m->n_marks);
        return NULL;
    }
    if (m->at != m->n) {
        FV_PM_REFUSE(m, "%zu bytes follow STOP", m->n - m->at);
        return NULL;
    }
    return m->stack[0];
}

const fv_pv *fv_pickle_read(fv_ctx *ctx, fv_arena *arena, const char *label, const unsigned char *bytes, size_t n) {
    fv_pickle_machine m = {.ctx = ctx, .arena = arena, .label = label, .b = bytes, .n = n};
    if (n > FV_PICKLE_MAX) {
        FV_PM_REFUSE(&m, "a pickle of %zu bytes is beyond the limit of %d", n, FV_PICKLE_MAX);
        return NULL;
    }
    while (m.at < n) {
        m.op = m.at++;
        const opcode *o = &opcodes[bytes[m.op]];
        if (bytes[m.op] == '.') return finish(&m);
        if (!o->name) {
            FV_PM_REFUSE(&m, "0x%02x is no opcode of a pickle", bytes[m.op]);
            return NULL;
        }
        if (!o->run) {
            FV_PM_REFUSE(&m, "the opcode %s is not read: no checkpoint needs it", o->name);
            return NULL;
        }
        if (m.op == 0 && o->run != op_proto) {
            FV_PM_REFUSE(&m, "the stream begins with %s, not with PROTO", o->name);
            return NULL;
        }
        if (!o->run(&m)) return NULL;
    }
    m.op = n;
    FV_PM_REFUSE(&m, "the stream ends before STOP");
    return NULL;
}
