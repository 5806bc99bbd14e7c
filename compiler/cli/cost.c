/* Costs of the launches of a plan: see cost.h. Launches of one code share a count. */
#include "cli/cost.h"

#include <string.h>

enum { SLOWEST = 3 }; /* kernels that a run names */

cli_cost *cli_costs(fv_ctx *ctx, const fv_compiled *c, const char *target, int threads, const bool *wanted) {
    if (!c->backend->unexpanded) return NULL;
    const fv_plan *p = c->plan;
    int n = p->n_launches[1];
    cli_cost *list = FV_NEWN(ctx, cli_cost, n + 1);
    cli_host h;
    fv_rates r;
    bool device = c->backend->executor != NULL;
    cli_host_read(&h);
    if (!device) cli_progress("measuring this machine");
    bool known = !device && c->backend->rates && c->backend->rates(target, cli_cache_dir(ctx), h.cache, &r);
    fv_start start = known ? fv_cost_start(threads) : (fv_start){0};
    cli_progress_done();
    for (int i = 0; i < n; i++) {
        const fv_launch *l = p->launch[1][i];
        list[i] = (cli_cost){
            .kernel = fv_cstr(ctx, l->kernel->name), .launch = i + p->n_launches[0], .bytes = l->bytes, .level = 1};
        while (list[i].level < 4 && l->bytes > (double)h.cache[list[i].level]) list[i].level++;
        if (wanted && !wanted[i]) continue;
        int same = 0;
        while (same < i && (p->launch[1][same]->code != l->code || (wanted && !wanted[same]))) same++;
        if (same < i) {
            list[i].counted = list[same].counted;
            list[i].counts = list[same].counts;
        } else {
            const fv_flat_kernel *k = c->backend->unexpanded(l->kernel, l->schedule, c->target);
            list[i].counted = k && fv_cost_count(k, c->target->lanes, device ? NULL : h.cache, &list[i].counts);
        }
        list[i].device = device;
        list[i].traced = list[i].counted && !device;
        if (!list[i].traced) continue;
        fv_cost_traffic(&list[i].counts, fv_cost_held(ctx, p, 1, i, h.cache), &list[i].traffic);
        list[i].predicted =
            known && fv_cost_predict(&list[i].counts, &list[i].traffic, &r, threads, start, &list[i].time);
    }
    return list;
}

/* -- The table ---- */
/* Microseconds that are saved if the bound costs nothing. */
static double gain(const cli_cost *k) { return 1e6 * (k->time.seconds - k->time.without); }
static void row(FILE *out, const cli_cost *k, const char *number, bool measured) {
    const fv_counts *n = &k->counts;
    fprintf(out, "%-6s %-18s", number, k->kernel);
    if (!k->counted) {
        fprintf(out, " not counted: too many steps");
        if (measured) fprintf(out, "; measured %.2f us", 1e6 * k->measured);
        fputc('\n', out);
        return;
    }
    fprintf(out, " %10.4g %10.4g %10.4g %9.3f", n->products, n->functions, n->other, 1e-6 * n->moved);
    for (int level = 1; level < 4; level++)
        if (k->traced || level == 3)
            fprintf(out, " %9.3f", 1e-6 * (k->traced ? fv_traffic_bytes(&k->traffic, level) : k->bytes));
        else fprintf(out, " %9s", "");
    if (k->predicted) fprintf(out, " %10.2f", 1e6 * k->time.seconds);
    else fprintf(out, " %10s", "");
    if (measured) fprintf(out, " %10.2f", 1e6 * k->measured);
    if (k->predicted) fprintf(out, "  %-11s %9.2f", fv_bound_names[k->time.bound], gain(k));
    fputc('\n', out);
}
static void total(FILE *out, const cli_cost *list, int n, bool measured) {
    fv_counts sum = {0};
    double seconds = 0, real = 0, level[4] = {0};
    bool all = true, timed = true, traced = false;
    for (int i = 0; i < n; i++) {
        sum.products += list[i].counts.products;
        sum.functions += list[i].counts.functions;
        sum.other += list[i].counts.other;
        sum.moved += list[i].counts.moved;
        seconds += list[i].time.seconds;
        real += list[i].measured;
        for (int j = 1; j < 4; j++) level[j] += fv_traffic_bytes(&list[i].traffic, j);
        if (!list[i].traced) level[3] += list[i].bytes;
        traced = traced || list[i].traced;
        all = all && list[i].counted;
        timed = timed && list[i].predicted;
    }
    fprintf(out, "%-6s %-18s %10.4g %10.4g %10.4g %9.3f", "total", all ? "" : "(of those counted)", sum.products,
            sum.functions, sum.other, 1e-6 * sum.moved);
    for (int i = 1; i < 4; i++)
        if (traced || i == 3) fprintf(out, " %9.3f", 1e-6 * level[i]);
        else fprintf(out, " %9s", "");
    if (timed) fprintf(out, " %10.2f", 1e6 * seconds);
    else fprintf(out, " %10s", "");
    if (measured) fprintf(out, " %10.2f", 1e6 * real);
    fputc('\n', out);
}
void cli_costs_print(FILE *out, const cli_cost *list, int n, int threads) {
    bool measured = false, timed = false, device = false;
    for (int i = 0; i < n; i++) measured = measured || list[i].measured > 0;
    for (int i = 0; i < n; i++) timed = timed || list[i].predicted;
    for (int i = 0; i < n; i++) device = device || list[i].device;
    if (device) fprintf(out, "\nas compiled, a run:\n");
    else fprintf(out, "\nas compiled, a run on %d thread%s:\n", threads, threads == 1 ? "" : "s");
    fprintf(out, "%-6s %-18s %10s %10s %10s %9s %9s %9s %9s %10s", "launch", "kernel", "products", "exp", "other",
            "L1 MB", "L2 MB", "L3 MB", "DRAM MB", "model us");
    if (measured) fprintf(out, " %10s", "real us");
    fprintf(out, "  %-11s %9s\n", "bound", "gain us");
    for (int i = 0; i < n; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", list[i].launch);
        row(out, &list[i], number, measured);
    }
    total(out, list, n, measured);
    if (timed || !n) return;
    if (device) fprintf(out, "no times: the rates of this device are not known; DRAM MB: every tensor once\n");
    else fprintf(out, "no times: the rates of the target cannot be measured here\n");
}

/* -- After a run ---- */
static void describe(const cli_cost *k) {
    fv_buf b = {0};
    fv_buf_printf(&b, "%s: %.1f us", k->kernel, 1e6 * k->measured);
    if (k->predicted)
        fv_buf_printf(&b, ", model %.1f, bound by %s, without that %.1f less", 1e6 * k->time.seconds,
                      fv_bound_names[k->time.bound], gain(k));
    if (k->counted) {
        fv_buf_printf(&b, "; %.3g products, %.3g exp, %.3g other; MB by level: L1 %.3g", k->counts.products,
                      k->counts.functions, k->counts.other, 1e-6 * k->counts.moved);
        static const char *const name[] = {"", "L2", "L3", "DRAM"};
        for (int i = 1; i < 4 && k->traced; i++)
            fv_buf_printf(&b, ", %s %.3g", name[i], 1e-6 * fv_traffic_bytes(&k->traffic, i));
        if (!k->traced) fv_buf_printf(&b, ", all tensors %.3g", 1e-6 * k->bytes);
    }
    cli_say("  %s", b.text);
    fv_buf_dispose(&b);
}
void cli_costs_of_run(fv_ctx *ctx, const fv_compiled *c, const char *target, int threads, const int64_t *ns, int runs,
                      bool all) {
    int n = c->plan->n_launches[1], slowest[SLOWEST], k = 0;
    double sum = 0;
    bool *wanted = FV_NEWN(ctx, bool, n + 1);
    for (int i = 0; i < n; i++) {
        sum += 1e-9 * (double)ns[i];
        int at = k;
        while (at > 0 && ns[slowest[at - 1]] < ns[i]) at--;
        if (at == SLOWEST) continue;
        if (k < SLOWEST) k++;
        memmove(slowest + at + 1, slowest + at, sizeof *slowest * (size_t)(k - at - 1));
        slowest[at] = i;
    }
    for (int i = 0; i < k; i++) wanted[slowest[i]] = true;
    cli_cost *list = cli_costs(ctx, c, target, threads, all ? NULL : wanted);
    if (!list) {
        if (all) cli_say("--cost: kernels of the backend '%s' are not counted", c->backend->name);
        return;
    }
    for (int i = 0; i < n; i++) list[i].measured = 1e-9 * (double)ns[i];
    if (all) {
        cli_costs_print(stderr, list, n, threads);
        cli_say("real: %s%d run%s", runs > 1 ? "the best of " : "", runs, runs == 1 ? "" : "s");
        return;
    }
    cli_say("%d kernel%s in %.2f ms; the slowest (--cost shows all):", n, n == 1 ? "" : "s", 1e3 * sum);
    for (int i = 0; i < k; i++) describe(&list[slowest[i]]);
}
