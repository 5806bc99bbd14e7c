/* The pickle machine: a stack of nodes, a stack of marks and a memo. Invariant: every opcode checks what it takes before
 * it takes it, and every byte of the stream makes at most a bounded amount of memory. */
#include "io/pickle.h"
#include "io/mapped.h"

#include <string.h>

enum { MOST_STACK = 1 << 20, MOST_MARKS = 1000, MOST_NAME = 200, MEMO_GAP = 1 << 16 };

typedef struct {
    fv_ctx *ctx;
    fv_arena *arena;
    const char *label;
    const unsigned char *b;
    size_t n, at, op;                    /* op: the byte of the opcode at work */
    fv_pv **stack, **memo;
    size_t n_stack, cap_stack, n_memo, cap_memo;
    size_t marks[MOST_MARKS];
    int n_marks;
    int64_t values;
} machine;

/* -- Opcodes: those with `run` are read; the others are named when they are refused ---- */
typedef bool action(machine *m);
typedef struct { const char *name; action *run; } opcode;
static const opcode opcodes[256];

#define REFUSE(m, ...) fv_refuse_bytes((m)->ctx, (m)->label, (m)->op, __VA_ARGS__)
static const char *op_name(const machine *m) { return opcodes[m->b[m->op]].name; }

static bool take(machine *m, uint64_t n, const unsigned char **p) {
    if (n > m->n - m->at) return REFUSE(m, "the stream ends inside the operand of %s", op_name(m));
    *p = m->b + m->at;
    m->at += (size_t)n;
    return true;
}
/* A number of `bytes` bytes, then as many bytes as it says. */
static bool take_counted(machine *m, int bytes, const unsigned char **p, uint64_t *n) {
    if (!take(m, (uint64_t)bytes, p)) return false;
    *n = fv_little(*p, bytes);
    return take(m, *n, p);
}

static fv_pv *make(machine *m, fv_pv_kind kind) {
    if (++m->values > FV_PICKLE_VALUES) {
        REFUSE(m, "more than %d values", FV_PICKLE_VALUES);
        return NULL;
    }
    fv_pv *v = fv_arena_alloc(m->arena, sizeof *v);
    v->kind = kind;
    v->at = (uint32_t)m->op;
    return v;
}
static bool push(machine *m, fv_pv *v) {
    if (!v) return false;
    if (m->n_stack == MOST_STACK) return REFUSE(m, "more than %d values on the stack", MOST_STACK);
    if (m->n_stack == m->cap_stack) {
        size_t cap = m->cap_stack ? 2 * m->cap_stack : 64;
        fv_pv **grown = fv_arena_alloc(m->arena, cap * sizeof *grown);
        if (m->n_stack) memcpy(grown, m->stack, m->n_stack * sizeof *grown);
        m->stack = grown;
        m->cap_stack = cap;
    }
    m->stack[m->n_stack++] = v;
    return true;
}
/* Values above the last mark. */
static size_t floor_of(const machine *m) { return m->n_marks ? m->marks[m->n_marks - 1] : 0; }
static fv_pv *pop(machine *m) {
    if (m->n_stack == floor_of(m)) {
        REFUSE(m, "%s finds too few values on the stack", op_name(m));
        return NULL;
    }
    return m->stack[--m->n_stack];
}
static fv_pv *top(machine *m) {
    fv_pv *v = pop(m);
    if (v) m->n_stack++;
    return v;
}
/* Takes the last mark and what is above it; the values stay readable until something is pushed. */
static bool pop_mark(machine *m, fv_pv ***v, size_t *n) {
    if (m->n_marks == 0) return REFUSE(m, "%s finds no mark", op_name(m));
    size_t begin = m->marks[--m->n_marks];
    *v = m->stack + begin;
    *n = m->n_stack - begin;
    m->n_stack = begin;
    return true;
}
static bool extend(machine *m, fv_pv_list *l, fv_pv *const *v, size_t n) {
    m->values += (int64_t)n;
    if (m->values > FV_PICKLE_VALUES) return REFUSE(m, "more than %d values", FV_PICKLE_VALUES);
    if (n > (size_t)(l->cap - l->n)) {
        size_t cap = (size_t)l->n + n + (size_t)l->n / 2;
        fv_pv **grown = fv_arena_alloc(m->arena, cap * sizeof *grown);
        if (l->n) memcpy(grown, l->v, (size_t)l->n * sizeof *grown);
        l->v = grown;
        l->cap = (int32_t)cap;
    }
    if (n) memcpy(l->v + l->n, v, n * sizeof *v);
    l->n += (int32_t)n;
    return true;
}

/* -- Scalars and texts ---- */
static bool push_whole(machine *m, fv_pv_kind kind, int64_t i) {
    fv_pv *v = make(m, kind);
    if (v) v->u.i = i;
    return push(m, v);
}
static bool op_none(machine *m) { return push(m, make(m, FV_PV_NONE)); }
static bool op_true(machine *m) { return push_whole(m, FV_PV_BOOL, 1); }
static bool op_false(machine *m) { return push_whole(m, FV_PV_BOOL, 0); }
static bool op_int(machine *m) {
    const unsigned char *p;
    return take(m, 4, &p) && push_whole(m, FV_PV_INT, (int32_t)fv_little(p, 4));
}
static bool op_int1(machine *m) {
    const unsigned char *p;
    return take(m, 1, &p) && push_whole(m, FV_PV_INT, p[0]);
}
static bool op_int2(machine *m) {
    const unsigned char *p;
    return take(m, 2, &p) && push_whole(m, FV_PV_INT, (int64_t)fv_little(p, 2));
}
/* Two's complement of any length; what does not fit 64 bits keeps no value. */
static bool push_long(machine *m, const unsigned char *p, uint64_t n) {
    if (n > 8) return push(m, make(m, FV_PV_LONG));
    uint64_t bits = fv_little(p, (int)n);
    if (n > 0 && n < 8 && p[n - 1] & 0x80) bits |= ~UINT64_C(0) << (8 * n);
    return push_whole(m, FV_PV_INT, (int64_t)bits);
}
static bool op_long1(machine *m) {
    const unsigned char *p;
    uint64_t n;
    return take_counted(m, 1, &p, &n) && push_long(m, p, n);
}
static bool op_long4(machine *m) {
    const unsigned char *p;
    uint64_t n;
    return take_counted(m, 4, &p, &n) && push_long(m, p, n);
}
static bool op_float(machine *m) {
    const unsigned char *p;
    uint64_t bits = 0;
    if (!take(m, 8, &p)) return false;
    for (int i = 0; i < 8; i++) bits = bits << 8 | p[i];
    fv_pv *v = make(m, FV_PV_FLOAT);
    if (v) memcpy(&v->u.f, &bits, 8);
    return push(m, v);
}
static bool counted(machine *m, fv_pv_kind kind, int bytes) {
    const unsigned char *p;
    uint64_t n;
    if (!take_counted(m, bytes, &p, &n)) return false;
    fv_pv *v = make(m, kind);
    if (!v) return false;
    v->u.text.p = (const char *)p;
    v->u.text.n = (uint32_t)n;
    return push(m, v);
}
static bool op_text1(machine *m) { return counted(m, FV_PV_TEXT, 1); }
static bool op_text4(machine *m) { return counted(m, FV_PV_TEXT, 4); }
static bool op_text8(machine *m) { return counted(m, FV_PV_TEXT, 8); }
static bool op_bytes1(machine *m) { return counted(m, FV_PV_BYTES, 1); }
static bool op_bytes4(machine *m) { return counted(m, FV_PV_BYTES, 4); }
static bool op_bytes8(machine *m) { return counted(m, FV_PV_BYTES, 8); }

/* -- Containers ---- */
static bool op_empty_tuple(machine *m) { return push(m, make(m, FV_PV_TUPLE)); }
static bool op_empty_list(machine *m) { return push(m, make(m, FV_PV_LIST)); }
static bool op_empty_dict(machine *m) { return push(m, make(m, FV_PV_DICT)); }
static bool op_empty_set(machine *m) { return push(m, make(m, FV_PV_SET)); }
static bool op_mark(machine *m) {
    if (m->n_marks == MOST_MARKS) return REFUSE(m, "marks are nested more than %d deep", MOST_MARKS);
    m->marks[m->n_marks++] = m->n_stack;
    return true;
}
static bool gather(machine *m, fv_pv_kind kind) {
    fv_pv **v, *made;
    size_t n;
    if (!pop_mark(m, &v, &n)) return false;
    if (kind == FV_PV_DICT && n % 2) return REFUSE(m, "%s finds a key without a value", op_name(m));
    made = make(m, kind);
    return made && extend(m, &made->u.list, v, n) && push(m, made);
}
static bool op_tuple(machine *m) { return gather(m, FV_PV_TUPLE); }
static bool op_list(machine *m) { return gather(m, FV_PV_LIST); }
static bool op_dict(machine *m) { return gather(m, FV_PV_DICT); }
static bool op_frozenset(machine *m) { return gather(m, FV_PV_SET); }
static bool tuple_of(machine *m, size_t n) {
    if (m->n_stack - floor_of(m) < n) return pop(m), REFUSE(m, "%s finds too few values on the stack", op_name(m));
    fv_pv *made = make(m, FV_PV_TUPLE);
    if (!made || !extend(m, &made->u.list, m->stack + m->n_stack - n, n)) return false;
    m->n_stack -= n;
    return push(m, made);
}
static bool op_tuple1(machine *m) { return tuple_of(m, 1); }
static bool op_tuple2(machine *m) { return tuple_of(m, 2); }
static bool op_tuple3(machine *m) { return tuple_of(m, 3); }

/* Adds to what is on top: a list, set or dict, or the result of a call, which may be any of these. */
static bool add(machine *m, fv_pv_kind kind, fv_pv *const *v, size_t n) {
    fv_pv *to = top(m);
    if (!to) return false;
    if (kind == FV_PV_DICT && n % 2) return REFUSE(m, "%s finds a key without a value", op_name(m));
    if (to->kind == kind) return extend(m, &to->u.list, v, n);
    if (to->kind != FV_PV_CALL)
        return REFUSE(m, "%s wants %s, finds %s", op_name(m), fv_pv_kind_name(kind), fv_pv_kind_name(to->kind));
    return extend(m, kind == FV_PV_DICT ? &to->u.call->pairs : &to->u.call->items, v, n);
}
static bool add_marked(machine *m, fv_pv_kind kind) {
    fv_pv **v;
    size_t n;
    return pop_mark(m, &v, &n) && add(m, kind, v, n);
}
static bool op_append(machine *m) {
    fv_pv *v = pop(m);
    return v && add(m, FV_PV_LIST, &v, 1);
}
static bool op_setitem(machine *m) {
    fv_pv *v[2];
    v[1] = pop(m);
    v[0] = v[1] ? pop(m) : NULL;
    return v[0] && add(m, FV_PV_DICT, v, 2);
}
static bool op_appends(machine *m) { return add_marked(m, FV_PV_LIST); }
static bool op_setitems(machine *m) { return add_marked(m, FV_PV_DICT); }
static bool op_additems(machine *m) { return add_marked(m, FV_PV_SET); }

/* -- Stack and memo ---- */
static bool op_pop(machine *m) {
    if (m->n_stack == floor_of(m) && m->n_marks) return m->n_marks--, true;
    return pop(m) != NULL;
}
static bool op_pop_mark(machine *m) {
    fv_pv **v;
    size_t n;
    return pop_mark(m, &v, &n);
}
/* Writers count what they put. Gaps are allowed, but not such that the memo grows without what fills it. */
static bool put(machine *m, uint64_t i) {
    fv_pv *v = top(m);
    if (!v) return false;
    if (i > m->n_memo + MEMO_GAP) return REFUSE(m, "%s puts far beyond what was put before", op_name(m));
    if (i >= m->cap_memo) {
        size_t cap = i < 32 ? 64 : 2 * (size_t)i;
        fv_pv **grown = fv_arena_alloc(m->arena, cap * sizeof *grown);
        if (m->cap_memo) memcpy(grown, m->memo, m->cap_memo * sizeof *grown);
        m->memo = grown;
        m->cap_memo = cap;
    }
    m->n_memo += m->memo[i] == NULL;
    m->memo[i] = v;
    return true;
}
static bool get(machine *m, uint64_t i) {
    if (i >= m->cap_memo || !m->memo[i]) return REFUSE(m, "%s gets what was never put", op_name(m));
    return push(m, m->memo[i]);
}
static bool op_put1(machine *m) {
    const unsigned char *p;
    return take(m, 1, &p) && put(m, p[0]);
}
static bool op_put4(machine *m) {
    const unsigned char *p;
    return take(m, 4, &p) && put(m, fv_little(p, 4));
}
static bool op_memoize(machine *m) { return put(m, m->n_memo); }
static bool op_get1(machine *m) {
    const unsigned char *p;
    return take(m, 1, &p) && get(m, p[0]);
}
static bool op_get4(machine *m) {
    const unsigned char *p;
    return take(m, 4, &p) && get(m, fv_little(p, 4));
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
static bool push_global(machine *m, const char *module, size_t n, const char *name, size_t k) {
    if (!name_part(module, n) || !name_part(name, k))
        return REFUSE(m, "%s names what is no class: letters, digits, _ and . are read", op_name(m));
    fv_pv *v = make(m, FV_PV_GLOBAL);
    if (!v) return false;
    char *text = fv_arena_alloc(m->arena, n + k + 2);
    memcpy(text, module, n);
    text[n] = '.';
    memcpy(text + n + 1, name, k);
    v->u.name = text;
    return push(m, v);
}
static bool op_global(machine *m) {
    const char *part[2];
    size_t n[2];
    for (int i = 0; i < 2; i++) {
        const unsigned char *end = memchr(m->b + m->at, '\n', m->n - m->at);
        if (!end) return REFUSE(m, "the stream ends inside the operand of GLOBAL");
        part[i] = (const char *)m->b + m->at;
        n[i] = (size_t)(end - (m->b + m->at));
        m->at += n[i] + 1;
    }
    return push_global(m, part[0], n[0], part[1], n[1]);
}
static bool op_stack_global(machine *m) {
    const fv_pv *name = pop(m), *module = name ? pop(m) : NULL;
    if (!module) return false;
    if (name->kind != FV_PV_TEXT || module->kind != FV_PV_TEXT) return REFUSE(m, "STACK_GLOBAL wants two texts");
    return push_global(m, module->u.text.p, module->u.text.n, name->u.text.p, name->u.text.n);
}
static bool call(machine *m, const fv_pv *callee, const fv_pv *args) {
    if (callee->kind != FV_PV_GLOBAL && callee->kind != FV_PV_CALL)
        return REFUSE(m, "%s wants a class or function, finds %s", op_name(m), fv_pv_kind_name(callee->kind));
    if (args->kind != FV_PV_TUPLE)
        return REFUSE(m, "%s wants a tuple of arguments, finds %s", op_name(m), fv_pv_kind_name(args->kind));
    fv_pv *v = make(m, FV_PV_CALL);
    if (!v) return false;
    v->u.call = fv_arena_alloc(m->arena, sizeof *v->u.call);
    v->u.call->callee = callee;
    v->u.call->args = args;
    return push(m, v);
}
static bool op_call(machine *m) {
    const fv_pv *args = pop(m), *callee = args ? pop(m) : NULL;
    return callee && call(m, callee, args);
}
static bool op_newobj_ex(machine *m) {
    const fv_pv *named = pop(m), *args = named ? pop(m) : NULL, *callee = args ? pop(m) : NULL;
    if (!callee) return false;
    if (named->kind != FV_PV_DICT) return REFUSE(m, "NEWOBJ_EX wants a dict, finds %s", fv_pv_kind_name(named->kind));
    return call(m, callee, args);
}
static bool op_build(machine *m) {
    const fv_pv *state = pop(m);
    fv_pv *to = state ? top(m) : NULL;
    if (!to) return false;
    if (to->kind != FV_PV_CALL) return REFUSE(m, "BUILD wants an object, finds %s", fv_pv_kind_name(to->kind));
    to->u.call->state = state;
    return true;
}
static bool op_persistent(machine *m) {
    const fv_pv *of = pop(m);
    fv_pv *v = of ? make(m, FV_PV_STORED) : NULL;
    if (v) v->u.of = of;
    return push(m, v);
}

/* -- The stream itself ---- */
static bool op_proto(machine *m) {
    const unsigned char *p;
    if (!take(m, 1, &p)) return false;
    if (m->op != 0) return REFUSE(m, "PROTO stands inside the stream");
    return p[0] >= 2 && p[0] <= 5 ? true : REFUSE(m, "pickle protocol %d is not read: 2 to 5 are", p[0]);
}
static bool op_frame(machine *m) {
    const unsigned char *p;
    if (!take(m, 8, &p)) return false;
    return fv_little(p, 8) <= m->n - m->at ? true : REFUSE(m, "a frame reaches beyond the stream");
}

static const opcode opcodes[256] = {
    [0x80] = {"PROTO", op_proto}, [0x95] = {"FRAME", op_frame}, ['.'] = {"STOP", NULL},
    ['('] = {"MARK", op_mark}, ['0'] = {"POP", op_pop}, ['1'] = {"POP_MARK", op_pop_mark},
    ['N'] = {"NONE", op_none}, [0x88] = {"NEWTRUE", op_true}, [0x89] = {"NEWFALSE", op_false},
    ['J'] = {"BININT", op_int}, ['K'] = {"BININT1", op_int1}, ['M'] = {"BININT2", op_int2},
    [0x8a] = {"LONG1", op_long1}, [0x8b] = {"LONG4", op_long4}, ['G'] = {"BINFLOAT", op_float},
    ['X'] = {"BINUNICODE", op_text4}, [0x8c] = {"SHORT_BINUNICODE", op_text1}, [0x8d] = {"BINUNICODE8", op_text8},
    ['T'] = {"BINSTRING", op_text4}, ['U'] = {"SHORT_BINSTRING", op_text1},
    ['B'] = {"BINBYTES", op_bytes4}, ['C'] = {"SHORT_BINBYTES", op_bytes1}, [0x8e] = {"BINBYTES8", op_bytes8},
    [0x96] = {"BYTEARRAY8", op_bytes8},
    [')'] = {"EMPTY_TUPLE", op_empty_tuple}, ['t'] = {"TUPLE", op_tuple}, [0x85] = {"TUPLE1", op_tuple1},
    [0x86] = {"TUPLE2", op_tuple2}, [0x87] = {"TUPLE3", op_tuple3},
    [']'] = {"EMPTY_LIST", op_empty_list}, ['l'] = {"LIST", op_list}, ['a'] = {"APPEND", op_append},
    ['e'] = {"APPENDS", op_appends}, ['}'] = {"EMPTY_DICT", op_empty_dict}, ['d'] = {"DICT", op_dict},
    ['s'] = {"SETITEM", op_setitem}, ['u'] = {"SETITEMS", op_setitems},
    [0x8f] = {"EMPTY_SET", op_empty_set}, [0x90] = {"ADDITEMS", op_additems}, [0x91] = {"FROZENSET", op_frozenset},
    ['q'] = {"BINPUT", op_put1}, ['r'] = {"LONG_BINPUT", op_put4}, [0x94] = {"MEMOIZE", op_memoize},
    ['h'] = {"BINGET", op_get1}, ['j'] = {"LONG_BINGET", op_get4},
    ['c'] = {"GLOBAL", op_global}, [0x93] = {"STACK_GLOBAL", op_stack_global}, ['R'] = {"REDUCE", op_call},
    [0x81] = {"NEWOBJ", op_call}, [0x92] = {"NEWOBJ_EX", op_newobj_ex}, ['b'] = {"BUILD", op_build},
    ['Q'] = {"BINPERSID", op_persistent},
    /* read by Python, needed by no checkpoint */
    ['F'] = {"FLOAT", NULL}, ['I'] = {"INT", NULL}, ['L'] = {"LONG", NULL}, ['P'] = {"PERSID", NULL},
    ['S'] = {"STRING", NULL}, ['V'] = {"UNICODE", NULL}, ['2'] = {"DUP", NULL}, ['g'] = {"GET", NULL},
    ['i'] = {"INST", NULL}, ['o'] = {"OBJ", NULL}, ['p'] = {"PUT", NULL}, [0x82] = {"EXT1", NULL},
    [0x83] = {"EXT2", NULL}, [0x84] = {"EXT4", NULL}, [0x97] = {"NEXT_BUFFER", NULL}, [0x98] = {"READONLY_BUFFER", NULL},
};

static const fv_pv *finish(machine *m) {
    if (m->n_marks || m->n_stack != 1) {
        REFUSE(m, "STOP finds %zu values and %d marks where one value should be", m->n_stack, m->n_marks);
        return NULL;
    }
    if (m->at != m->n) {
        REFUSE(m, "%zu bytes follow STOP", m->n - m->at);
        return NULL;
    }
    return m->stack[0];
}

const fv_pv *fv_pickle_read(fv_ctx *ctx, fv_arena *arena, const char *label, const unsigned char *bytes, size_t n) {
    machine m = {.ctx = ctx, .arena = arena, .label = label, .b = bytes, .n = n};
    if (n > FV_PICKLE_MAX) {
        REFUSE(&m, "a pickle of %zu bytes is beyond the limit of %d", n, FV_PICKLE_MAX);
        return NULL;
    }
    while (m.at < n) {
        m.op = m.at++;
        const opcode *o = &opcodes[bytes[m.op]];
        if (bytes[m.op] == '.') return finish(&m);
        if (!o->name) {
            REFUSE(&m, "0x%02x is no opcode of a pickle", bytes[m.op]);
            return NULL;
        }
        if (!o->run) {
            REFUSE(&m, "the opcode %s is not read: no checkpoint needs it", o->name);
            return NULL;
        }
        if (m.op == 0 && o->run != op_proto) {
            REFUSE(&m, "the stream begins with %s, not with PROTO", o->name);
            return NULL;
        }
        if (!o->run(&m)) return NULL;
    }
    m.op = n;
    REFUSE(&m, "the stream ends before STOP");
    return NULL;
}
