/* ELF files and archives of them: see elf_symbols.h. */
#include "cli/elf_symbols.h"

#include <dlfcn.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    fv_ctx *ctx;
    const unsigned char *data;
    size_t n;
    Elf64_Ehdr h;
    cli_elf *out;
} reader;

static bool inside(const reader *r, uint64_t offset, uint64_t bytes) {
    return offset <= r->n && bytes <= r->n - offset;
}
static void add(fv_ctx *ctx, const char ***list, int *n, int *cap, const char *name) {
    if (*n == *cap) {
        int more = *cap ? 2 * *cap : 256;
        const char **grown = FV_NEWN(ctx, const char *, more);
        if (*n) memcpy(grown, *list, sizeof *grown * (size_t)*n);
        *list = grown;
        *cap = more;
    }
    (*list)[(*n)++] = fv_strdup(ctx, name);
}
/* A string of a section of strings; NULL: outside. */
static const char *text(const reader *r, const Elf64_Shdr *names, uint64_t at) {
    if (at >= names->sh_size || !memchr(r->data + names->sh_offset + at, 0, names->sh_size - at)) return NULL;
    return (const char *)r->data + names->sh_offset + at;
}
static bool section(const reader *r, uint64_t i, Elf64_Shdr *out) {
    if (i >= r->h.e_shnum) return false;
    memcpy(out, r->data + r->h.e_shoff + i * sizeof *out, sizeof *out);
    return out->sh_type == SHT_NOBITS || inside(r, out->sh_offset, out->sh_size);
}
static const char *symbols(reader *r, const Elf64_Shdr *s) {
    Elf64_Shdr names;
    cli_elf *e = r->out;
    if (!section(r, s->sh_link, &names) || names.sh_type != SHT_STRTAB) return "its names lie outside the file";
    for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= s->sh_size; at += sizeof(Elf64_Sym)) {
        Elf64_Sym y;
        memcpy(&y, r->data + s->sh_offset + at, sizeof y);
        const char *name = text(r, &names, y.st_name);
        if (!name) return "the name of a symbol lies outside its table";
        int bind = ELF64_ST_BIND(y.st_info);
        if (!*name || bind == STB_LOCAL) continue;
        if (y.st_shndx != SHN_UNDEF) add(r->ctx, &e->defined, &e->n_defined, &e->cap_defined, name);
        else if (bind != STB_WEAK) add(r->ctx, &e->name, &e->n, &e->cap, name);
    }
    return NULL;
}
static const char *libraries(reader *r, const Elf64_Shdr *s) {
    Elf64_Shdr names;
    cli_elf *e = r->out;
    if (!section(r, s->sh_link, &names) || names.sh_type != SHT_STRTAB) return "its names lie outside the file";
    for (uint64_t at = 0; at + sizeof(Elf64_Dyn) <= s->sh_size; at += sizeof(Elf64_Dyn)) {
        Elf64_Dyn d;
        memcpy(&d, r->data + s->sh_offset + at, sizeof d);
        if (d.d_tag == DT_NULL) break;
        if (d.d_tag != DT_NEEDED) continue;
        const char *name = text(r, &names, d.d_un.d_val);
        if (!name) return "the name of a library lies outside its table";
        add(r->ctx, &e->library, &e->n_libraries, &e->cap_libraries, name);
    }
    return NULL;
}
static const char *object(fv_ctx *ctx, const unsigned char *data, size_t n, int type, cli_elf *out) {
    reader r = {.ctx = ctx, .data = data, .n = n, .out = out};
    if (n < sizeof r.h || memcmp(data, ELFMAG, SELFMAG) != 0) return "it is no ELF file, or is cut";
    memcpy(&r.h, data, sizeof r.h);
    if (data[EI_CLASS] != ELFCLASS64 || data[EI_DATA] != ELFDATA2LSB)
        return "it is not of a 64-bit little-endian processor";
    if (r.h.e_type != type) return type == ET_DYN ? "it is no shared object" : "it holds a file that is no object";
    if (r.h.e_shentsize != sizeof(Elf64_Shdr) || !inside(&r, r.h.e_shoff, (uint64_t)r.h.e_shnum * sizeof(Elf64_Shdr)))
        return "its table of sections lies outside the file: it is cut";
    out->machine = r.h.e_machine;
    bool found = false;
    const char *bad = NULL;
    for (int i = 0; i < r.h.e_shnum && !bad; i++) {
        Elf64_Shdr s;
        if (!section(&r, (uint64_t)i, &s)) return "one of its sections lies outside the file: it is cut";
        if (s.sh_type == (type == ET_DYN ? SHT_DYNSYM : SHT_SYMTAB)) {
            found = true;
            bad = symbols(&r, &s);
        }
        if (s.sh_type == SHT_DYNAMIC && type == ET_DYN) bad = libraries(&r, &s);
    }
    return bad || found ? bad : "it has no table of symbols";
}

/* -- Archives: an 8-byte mark, then members of a 60-byte header and their bytes, padded to an even number ---- */
enum { MARK = 8, HEADER = 60, NAME = 16, SIZE_AT = 48, SIZE = 10 };

static int by_name(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static const char *archive(fv_ctx *ctx, const unsigned char *data, size_t n, cli_elf *out) {
    for (size_t at = MARK; at < n;) {
        char digits[SIZE + 1] = {0}, *rest;
        if (n - at < HEADER || memcmp(data + at + HEADER - 2, "`\n", 2) != 0)
            return "the header of a member is damaged: it is cut";
        memcpy(digits, data + at + SIZE_AT, SIZE);
        unsigned long long bytes = strtoull(digits, &rest, 10);
        bool index = data[at] == '/' && (data[at + 1] == ' ' || data[at + 1] == '/');
        at += HEADER;
        if (rest == digits || bytes > n - at) return "a member lies outside the file: it is cut";
        const char *bad = index ? NULL : object(ctx, data + at, (size_t)bytes, ET_REL, out);
        if (bad) return bad;
        at += (size_t)(bytes + bytes % 2);
    }
    if (!out->n_defined) return "it is empty";
    qsort(out->defined, (size_t)out->n_defined, sizeof *out->defined, by_name);
    int kept = 0;
    for (int i = 0; i < out->n; i++)
        if (!bsearch(&out->name[i], out->defined, (size_t)out->n_defined, sizeof *out->defined, by_name))
            out->name[kept++] = out->name[i];
    out->n = kept;
    return NULL;
}
const char *cli_elf_read(fv_ctx *ctx, const unsigned char *data, size_t n, cli_elf *out) {
    *out = (cli_elf){0};
    if (n >= MARK && memcmp(data, "!<arch>\n", MARK) == 0) return archive(ctx, data, n, out);
    return object(ctx, data, n, ET_DYN, out);
}
bool cli_elf_defines(const cli_elf *e, const char *name) {
    for (int i = 0; i < e->n_defined; i++)
        if (!strcmp(e->defined[i], name)) return true;
    return false;
}
bool cli_elf_provided(const char *name) {
    static const char *const libraries_of_c[] = {"libc.so.6", "libm.so.6", "libpthread.so.0", "libdl.so.2"};
    static const char *const linkers[] = {"_GLOBAL_OFFSET_TABLE_", "__tls_get_addr", "__stack_chk_guard"};
    for (size_t i = 0; i < sizeof linkers / sizeof *linkers; i++)
        if (!strcmp(linkers[i], name)) return true;
    bool there = false;
    for (size_t i = 0; i < sizeof libraries_of_c / sizeof *libraries_of_c && !there; i++) {
        void *h = dlopen(libraries_of_c[i], RTLD_LAZY | RTLD_LOCAL);
        there = h && dlsym(h, name);
        if (h) dlclose(h);
    }
    return there;
}
