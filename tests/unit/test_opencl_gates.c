/* OpenCL texts with items through the compilers of devices that are not here (tests/gates/compile.sh): every golden
 * kernel for one processor of each maker, three of them for the others. What is missing is SKIPPED and counted. */
#define _GNU_SOURCE
#include "flat_kit.h"
#include "backends/opencl/opencl.h"

#include <unistd.h>

static char folder[] = "/tmp/fovea-gates-XXXXXX";
static int written;
static void write_text(fv_ctx *ctx, fv_kernel *k, const char *file) {
    char path[256];
    fv_buf b = {0};
    fv_flat_kernel *f = fv_flatten_opencl(k, NULL, NULL);
    cr_assert(f && fv_opencl_print(f, false, &b), "%s: %s", file, kit_error(ctx));
    snprintf(path, sizeof path, "%s/%.100s.cl", folder, fv_cstr(ctx, k->name));
    FILE *out = fopen(path, "w");
    cr_assert(out && fwrite(b.text, 1, b.len, out) == b.len && fclose(out) == 0, "%s", path);
    fv_buf_dispose(&b);
    written++;
}
/* Numbers of the last line; what failed and what was skipped is printed. */
static void gate(const char *targets, const char *files, int *passed, int *failed, int *skipped) {
    char command[2048], line[1024];
    int numbers = 0;
    snprintf(command, sizeof command, "cd %s && sh %s/gates/compile.sh --targets '%s' %s 2>&1", folder, FOVEA_TESTS_DIR,
             targets, files);
    FILE *in = popen(command, "r");
    cr_assert(in);
    while (fgets(line, sizeof line, in)) {
        if (strncmp(line, "passed", 6)) fputs(line, stderr);
        if (sscanf(line, "gates: %d passed, %d failed, %d SKIPPED", passed, failed, skipped) == 3) numbers++;
    }
    pclose(in);
    cr_assert(numbers == 1, "the gates gave no numbers");
}
Test(opencl_gates, goldens, .timeout = 500) {
    int passed, failed, skipped;
    cr_assert(mkdtemp(folder));
    kit_shapes(write_text);
    gate("nvptx:sm_80 amdgcn:gfx90a spir64", "*.cl", &passed, &failed, &skipped);
    cr_expect(failed == 0 && passed + skipped == 3 * written, "%d texts: %d passed, %d failed, %d skipped", written,
              passed, failed, skipped);
    gate("nvptx:sm_90 amdgcn:gfx942 amdgcn:gfx1100", "flash.cl na_lane.cl conv.cl", &passed, &failed, &skipped);
    cr_expect(failed == 0 && passed + skipped == 9, "%d passed, %d failed, %d skipped", passed, failed, skipped);
    /* a gate must be able to fail: fewer registers than any kernel needs, and a text that is none */
    gate("nvptx:sm_80", "--registers 4 flash.cl", &passed, &failed, &skipped);
    cr_expect(passed == 0 && failed + skipped == 1, "%d passed with 4 registers", passed);
    char command[256];
    snprintf(command, sizeof command, "echo '__kernel void f( {' >%s/broken.cl", folder);
    cr_assert(system(command) == 0);
    gate("spir64 amdgcn:gfx90a", "broken.cl", &passed, &failed, &skipped);
    cr_expect(passed == 0 && failed + skipped == 2, "%d passed of a broken text", passed);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_expect(system(command) == 0);
}
