/* Symbols of 64-bit little-endian ELF files, read from the file itself: nothing is loaded, every offset is checked. */
#ifndef FV_CLI_ELF_SYMBOLS_H
#define FV_CLI_ELF_SYMBOLS_H
#include "base/base.h"

typedef struct {
    int machine;          /* EM_X86_64, EM_AARCH64, … */
    int n, n_libraries;   /* lists are the context's */
    const char **name;    /* undefined and not weak; of an archive: defined by none of its members */
    const char **library; /* DT_NEEDED of a shared object */
    int n_defined, cap_defined, cap, cap_libraries;
    const char **defined; /* global symbols, weak ones too */
} cli_elf;

/* A shared object (its dynamic symbols) or an archive of relocatable objects (all of their symbols). NULL; else what is
 * wrong with the file, in words. */
const char *cli_elf_read(fv_ctx *ctx, const unsigned char *data, size_t n, cli_elf *out);
bool cli_elf_defines(const cli_elf *e, const char *name);
/* The symbol is one of libc's, libm's or pthreads', or the linker's own. */
bool cli_elf_provided(const char *name);
#endif
