/* A tensor of a checkpoint: the call that would rebuild it, read as data. Invariant: a tensor that is handed out has a
 * dtype that is read, fewer than 2^63 bytes, and every element inside its entry of the archive. */
#include "io/mapped.h"
#include "io/pth_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFUSE(r, v, ...) fv_refuse_bytes((r)->ctx, (r)->label, (v)->at, __VA_ARGS__)

/* -- The names that are understood ---- */
typedef struct {
    const char *name;
    fovea_storage storage;
    const char *why;
} type_row;
static const type_row storages[] = {
    /* classes of storages: the type is that of the elements */
    {"torch.FloatStorage", FOVEA_ST_F32, NULL},
    {"torch.DoubleStorage", FOVEA_ST_F64, NULL},
    {"torch.HalfStorage", FOVEA_ST_F16, NULL},
    {"torch.BFloat16Storage", FOVEA_ST_BF16, NULL},
    {"torch.LongStorage", FOVEA_ST_I64, NULL},
    {"torch.IntStorage", FOVEA_ST_I32, NULL},
    {"torch.ShortStorage", FOVEA_ST_I16, NULL},
    {"torch.CharStorage", FOVEA_ST_I8, NULL},
    {"torch.ByteStorage", FOVEA_ST_U8, NULL},
    {"torch.BoolStorage", FOVEA_ST_BOOL, NULL},
    {"torch.ComplexFloatStorage", FOVEA_ST_COUNT, "a complex tensor"},
    {"torch.ComplexDoubleStorage", FOVEA_ST_COUNT, "a complex tensor"},
    {"torch.QInt8Storage", FOVEA_ST_COUNT, "a quantised tensor"},
    {"torch.QUInt8Storage", FOVEA_ST_COUNT, "a quantised tensor"},
    {"torch.QInt32Storage", FOVEA_ST_COUNT, "a quantised tensor"},
    {"torch.QUInt4x2Storage", FOVEA_ST_COUNT, "a quantised tensor"},
    {"torch.QUInt2x4Storage", FOVEA_ST_COUNT, "a quantised tensor"},
};
static const type_row dtypes[] = {
    /* of an untyped storage, given beside it */
    {"torch.float32", FOVEA_ST_F32, NULL},
    {"torch.float64", FOVEA_ST_F64, NULL},
    {"torch.float16", FOVEA_ST_F16, NULL},
    {"torch.bfloat16", FOVEA_ST_BF16, NULL},
    {"torch.int64", FOVEA_ST_I64, NULL},
    {"torch.int32", FOVEA_ST_I32, NULL},
    {"torch.int16", FOVEA_ST_I16, NULL},
    {"torch.int8", FOVEA_ST_I8, NULL},
    {"torch.uint8", FOVEA_ST_U8, NULL},
    {"torch.bool", FOVEA_ST_BOOL, NULL},
    {"torch.uint16", FOVEA_ST_U16, NULL},
    {"torch.uint32", FOVEA_ST_U32, NULL},
    {"torch.uint64", FOVEA_ST_U64, NULL},
    {"torch.float8_e5m2", FOVEA_ST_F8_E5M2, NULL},
    {"torch.float8_e4m3fn", FOVEA_ST_F8_E4M3, NULL},
    {"torch.complex32", FOVEA_ST_COUNT, "a complex tensor"},
    {"torch.complex64", FOVEA_ST_COUNT, "a complex tensor"},
    {"torch.complex128", FOVEA_ST_COUNT, "a complex tensor"},
    {"torch.float8_e5m2fnuz", FOVEA_ST_COUNT, "a tensor of float8_e5m2fnuz"},
    {"torch.float8_e4m3fnuz", FOVEA_ST_COUNT, "a tensor of float8_e4m3fnuz"},
    {"torch.float8_e8m0fnu", FOVEA_ST_COUNT, "a tensor of float8_e8m0fnu"},
    {"torch.float4_e2m1fn_x2", FOVEA_ST_COUNT, "a tensor of float4_e2m1fn_x2"},
};

typedef enum { DENSE, DENSE_DTYPE, INNER, TYPED, UNREAD } form;
typedef struct {
    const char *name;
    form form;
    int args;
    const char *why;
} rebuild_row;
static const rebuild_row rebuilds[] = {
    {"torch._utils._rebuild_tensor", DENSE, 4, NULL},          /* storage, offset, size, stride */
    {"torch._utils._rebuild_tensor_v2", DENSE, 6, NULL},       /* ..., requires_grad, hooks, [flags] */
    {"torch._utils._rebuild_tensor_v3", DENSE_DTYPE, 7, NULL}, /* ..., requires_grad, hooks, dtype, [flags] */
    {"torch._utils._rebuild_parameter", INNER, 3, NULL},       /* tensor, requires_grad, hooks */
    {"torch._utils._rebuild_parameter_with_state", INNER, 4, NULL},
    {"torch._tensor._rebuild_from_type", TYPED, 4, NULL}, /* function, class, its arguments, state */
    {"torch._tensor._rebuild_from_type_v2", TYPED, 4, NULL},
    {"torch._utils._rebuild_qtensor", UNREAD, 0, "a quantised tensor"},
    {"torch._utils._rebuild_sparse_tensor", UNREAD, 0, "a sparse tensor"},
    {"torch._utils._rebuild_sparse_csr_tensor", UNREAD, 0, "a sparse tensor"},
    {"torch._utils._rebuild_nested_tensor", UNREAD, 0, "a nested tensor"},
    {"torch._utils._rebuild_meta_tensor_no_storage", UNREAD, 0, "a meta tensor, which has no elements"},
    {"torch._utils._rebuild_wrapper_subclass", UNREAD, 0, "a tensor that wraps another"},
    {"torch._utils._rebuild_device_tensor_from_numpy", UNREAD, 0, "a tensor in a foreign device's form"},
    {"torch._utils._rebuild_device_tensor_from_cpu_tensor", UNREAD, 0, "a tensor in a foreign device's form"},
    {"torch._utils._rebuild_xla_tensor", UNREAD, 0, "a tensor in a foreign device's form"},
};
static const rebuild_row *find_rebuild(const char *name) {
    for (size_t i = 0; i < sizeof rebuilds / sizeof *rebuilds; i++)
        if (!strcmp(rebuilds[i].name, name)) return &rebuilds[i];
    return NULL;
}
static const type_row *find_type(const type_row *rows, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (!strcmp(rows[i].name, name)) return &rows[i];
    return NULL;
}

bool fv_pth_is_tensor(const fv_pv *v) {
    const char *name = fv_pv_callee(v);
    return !strncmp(name, "torch._utils._rebuild_", 22) || !strncmp(name, "torch._tensor._rebuild_", 23);
}

const fv_pv_list *fv_pth_pairs(const fv_pv *v) {
    if (v && v->kind == FV_PV_DICT) return &v->u.list;
    const char *name = fv_pv_callee(v);
    return !strcmp(name, "collections.OrderedDict") || !strcmp(name, "collections.defaultdict") ? &v->u.call->pairs
                                                                                                : NULL;
}

/* -- Arguments ---- */
typedef struct {
    const rebuild_row *row;
    const fv_pv *args;
} rebuild;

/* Goes through what wraps a tensor, a few layers of it, to the call that takes a storage. */
static bool unwrap(fv_pth_reader *r, const char *name, const fv_pv *v, rebuild *out, const char **why) {
    const char *function = fv_pv_callee(v);
    const fv_pv *args = v->kind == FV_PV_CALL ? v->u.call->args : v;
    for (int layer = 0; layer < 8; layer++) {
        const rebuild_row *row = find_rebuild(function);
        if (!row)
            return REFUSE(r, v, "\"%s\": %s is not a way to rebuild a tensor that is known", name,
                          *function ? function : fv_pv_kind_name(v->kind));
        *why = row->why;
        if (row->form == UNREAD) return true;
        const fv_pv_list *a = &args->u.list;
        if (a->n < row->args) return REFUSE(r, v, "\"%s\": %s has %d arguments of %d", name, function, a->n, row->args);
        *out = (rebuild){row, args};
        if (row->form == DENSE || row->form == DENSE_DTYPE) return true;
        if (row->form == INNER) {
            v = a->v[0];
            function = fv_pv_callee(v);
            args = v->kind == FV_PV_CALL ? v->u.call->args : v;
            continue;
        }
        if (a->v[0]->kind != FV_PV_GLOBAL || a->v[1]->kind != FV_PV_GLOBAL || a->v[2]->kind != FV_PV_TUPLE)
            return REFUSE(r, v, "\"%s\": %s wants a function, a class and a tuple", name, function);
        const char *class = a->v[1]->u.name;
        if (strcmp(class, "torch.Tensor") && strcmp(class, "torch.nn.parameter.Parameter") &&
            strcmp(class, "torch.nn.parameter.Buffer")) {
            *why = "a tensor of a class of its own";
            return true;
        }
        function = a->v[0]->u.name;
        args = a->v[2];
    }
    return REFUSE(r, v, "\"%s\" is wrapped more than 8 times", name);
}

static bool whole(const fv_pv *v, int64_t *out) {
    if (v->kind != FV_PV_INT || v->u.i < 0) return false;
    *out = v->u.i;
    return true;
}
/* A tuple of whole numbers that are not negative; a torch.Size is one. */
static bool wholes(const fv_pv *v, int64_t *out, int32_t *n) {
    if (!strcmp(fv_pv_callee(v), "torch.Size") && v->u.call->args->u.list.n == 1) v = v->u.call->args->u.list.v[0];
    if (v->kind != FV_PV_TUPLE || v->u.list.n > FOVEA_MAX_RANK) return false;
    *n = v->u.list.n;
    for (int32_t i = 0; i < *n; i++)
        if (!whole(v->u.list.v[i], &out[i])) return false;
    return true;
}
static bool is_set(const fv_pv *flags, const char *name) {
    for (int32_t i = 0; i + 1 < flags->u.list.n; i += 2)
        if (fv_pv_is_text(flags->u.list.v[i], name) && flags->u.list.v[i + 1]->kind == FV_PV_BOOL)
            return flags->u.list.v[i + 1]->u.i;
    return false;
}

/* -- The storage: ("storage", class, key, location, elements) ---- */
typedef struct {
    const unsigned char *data;
    uint64_t bytes;
} storage_bytes;

static bool find_entry(fv_pth_reader *r, const char *name, const fv_pv *key, const fv_zip_entry **out) {
    char path[600];
    int n = key->u.text.n > 200
                ? -1
                : snprintf(path, sizeof path, "%sdata/%.*s", r->folder, (int)key->u.text.n, key->u.text.p);
    if (n < 0 || (size_t)n >= sizeof path || !fv_name_is_plain(key->u.text.p, key->u.text.n))
        return REFUSE(r, key, "\"%s\": the key of its storage is no name of an entry", name);
    *out = fv_zip_find(&r->zip, path);
    return *out ? true : REFUSE(r, key, "\"%s\": the archive has no entry \"%s\"", name, path);
}

/* dtype: NULL if the class of the storage says it. */
static bool read_storage(fv_pth_reader *r, const char *name, const fv_pv *v, const char *dtype, fovea_stored *t,
                         storage_bytes *out, const char **why) {
    const fv_pv_list *id = v->kind == FV_PV_STORED && v->u.of->kind == FV_PV_TUPLE ? &v->u.of->u.list : NULL;
    int64_t count, bytes;
    if (!id || id->n != 5 || !fv_pv_is_text(id->v[0], "storage") || id->v[1]->kind != FV_PV_GLOBAL ||
        id->v[2]->kind != FV_PV_TEXT || !whole(id->v[4], &count))
        return REFUSE(r, v, "\"%s\": a storage is (\"storage\", class, key, place, elements); this is %s", name,
                      fv_pv_kind_name(v->kind));
    const char *class = id->v[1]->u.name;
    bool untyped = !strcmp(class, "torch.storage.UntypedStorage") || !strcmp(class, "torch.UntypedStorage");
    const type_row *type = dtype ? find_type(dtypes, sizeof dtypes / sizeof *dtypes, dtype)
                                 : find_type(storages, sizeof storages / sizeof *storages, class);
    if (!type)
        return REFUSE(r, id->v[1], "\"%s\": %s is no type of elements that is known", name, dtype ? dtype : class);
    *why = type->why;
    if (type->why) return true;
    t->storage = type->storage;
    if (__builtin_mul_overflow(count, untyped ? 1 : fovea_storage_size(t->storage), &bytes))
        return REFUSE(r, v, "\"%s\": %" PRId64 " elements of %s are too many", name, count, type->name);
    const fv_zip_entry *e = NULL;
    if (!find_entry(r, name, id->v[2], &e)) return false;
    if (e->n != (uint64_t)bytes)
        return REFUSE(r, v, "\"%s\": the storage has %" PRId64 " bytes, its entry \"%s\" has %" PRIu64, name, bytes,
                      e->name, e->n);
    *out = (storage_bytes){e->data, e->n};
    return true;
}

/* -- Elements in order ---- */
/* Elements of a dense tensor of this shape, and one beyond the last element that these strides reach. */
static bool measure(const fovea_stored *t, int64_t offset, const int64_t *stride, int64_t *count, int64_t *end) {
    int64_t last = offset, step;
    *count = 1;
    for (int32_t d = 0; d < t->rank; d++)
        if (t->shape[d] == 0) return *count = 0, *end = 0, true;
    for (int32_t d = 0; d < t->rank; d++)
        if (__builtin_mul_overflow(*count, t->shape[d], count) ||
            __builtin_mul_overflow(t->shape[d] - 1, stride[d], &step) || __builtin_add_overflow(last, step, &last))
            return false;
    return !__builtin_add_overflow(last, 1, end);
}
static bool row_major(const fovea_stored *t, const int64_t *stride) {
    int64_t expect = 1;
    for (int32_t d = t->rank - 1; d >= 0; d--) {
        if (t->shape[d] != 1 && stride[d] != expect) return false;
        expect *= t->shape[d];
    }
    return true;
}
/* Copies element by element in row-major order; `from` is the first. A step along an extent of 1 is never taken, and
 * may be any number. */
static void reorder(const fovea_stored *t, const int64_t *stride, const unsigned char *from, unsigned char *to) {
    int64_t at[FOVEA_MAX_RANK] = {0}, size = fovea_storage_size(t->storage), position = 0;
    for (int64_t i = 0; i < t->count; i++, to += size) {
        memcpy(to, from + position * size, (size_t)size);
        for (int32_t d = t->rank - 1; d >= 0; d--) {
            if (t->shape[d] == 1) continue;
            position += stride[d];
            if (++at[d] < t->shape[d]) break;
            position -= stride[d] * t->shape[d];
            at[d] = 0;
        }
    }
}
static bool copy_in_order(fv_pth_reader *r, const char *name, const fv_pv *v, const int64_t *stride,
                          const unsigned char *from, fovea_stored *t) {
    if ((uint64_t)t->bytes > r->copy_room)
        return REFUSE(r, v, "\"%s\": its strides make %" PRId64 " bytes of a file that has far fewer", name, t->bytes);
    fv_pth *p = r->out;
    if (p->n_copies == p->cap_copies) {
        int32_t cap = p->cap_copies ? 2 * p->cap_copies : 16;
        void **grown = realloc(p->copy, (size_t)cap * sizeof *grown);
        if (grown) p->copy = grown, p->cap_copies = cap;
    }
    void *to = p->n_copies < p->cap_copies ? malloc((size_t)t->bytes) : NULL;
    if (!to) {
        fv_error(r->ctx, FV_E_FILE, (fv_loc){0}, "%s: \"%s\": no memory for %" PRId64 " bytes", r->label, name,
                 t->bytes);
        return false;
    }
    r->copy_room -= (uint64_t)t->bytes;
    p->copy[p->n_copies++] = to;
    reorder(t, stride, from, to);
    t->data = to;
    return true;
}

bool fv_pth_tensor(fv_pth_reader *r, const char *name, const fv_pv *v, fovea_stored *t, const char **why) {
    rebuild b = {0};
    storage_bytes from = {0};
    *why = NULL;
    if (!unwrap(r, name, v, &b, why) || *why) return *why != NULL;
    fv_pv **a = b.args->u.list.v;
    int32_t n = b.args->u.list.n, flags = b.row->args, strides;
    int64_t offset, stride[FOVEA_MAX_RANK], end;
    const char *dtype = NULL;
    if (b.row->form == DENSE_DTYPE) {
        if (a[6]->kind != FV_PV_GLOBAL)
            return REFUSE(r, v, "\"%s\": its dtype is %s", name, fv_pv_kind_name(a[6]->kind));
        dtype = a[6]->u.name;
    }
    if (n > flags && a[flags]->kind == FV_PV_DICT && (is_set(a[flags], "neg") || is_set(a[flags], "conj")))
        return *why = "a tensor whose sign is left to be turned", true;
    if (!read_storage(r, name, a[0], dtype, t, &from, why) || *why) return *why != NULL;
    if (!whole(a[1], &offset) || !wholes(a[2], t->shape, &t->rank) || !wholes(a[3], stride, &strides) ||
        strides != t->rank)
        return REFUSE(r, v, "\"%s\": offset, size and stride are no whole numbers of one rank, at most %d", name,
                      FOVEA_MAX_RANK);
    int64_t size = fovea_storage_size(t->storage);
    if (!measure(t, offset, stride, &t->count, &end) || __builtin_mul_overflow(t->count, size, &t->bytes))
        return REFUSE(r, v, "\"%s\": its size is beyond 64 bits", name);
    if ((uint64_t)end > from.bytes / (uint64_t)size)
        return REFUSE(r, v, "\"%s\": reaches element %" PRId64 " of a storage of %" PRIu64, name, end,
                      from.bytes / (uint64_t)size);
    t->data = t->count ? from.data + offset * size : from.data;
    return t->count == 0 || row_major(t, stride) ? true : copy_in_order(r, name, v, stride, t->data, t);
}
