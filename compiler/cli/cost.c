/* Costs of the launches of a plan: see cost.h. Launches of one code share a count. */
#include "cli/cost.h"

#include <string.h>

cli_cost *cli_costs(fv_ctx *ctx, const fv_compiled *c, const char *target, int threads) {
    if (strcmp(c->backend->name, "cpu")) return NULL;
    const fv_plan *p = c->plan;
    int n = p->n_launches[1];
    cli_cost *list = FV_NEWN(ctx, cli_cost, n + 1);
    cli_host h;
    fv_rates r;
    cli_host_read(&h);
    cli_progress("measuring this machine");
    bool known = c->backend->rates && c->backend->rates(target, cli_cache_dir(ctx), h.cache, &r);
    cli_progress_done();
    for (int i = 0; i < n; i++) {
        const fv_launch *l = p->launch[1][i];
        int same = 0;
        while (same < i && p->launch[1][same]->code != l->code) same++;
        if (same < i) {
            list[i].counted = list[same].counted;
            list[i].counts = list[same].counts;
        } else {
            const fv_flat_kernel *k = fv_flatten_chosen(l->kernel, l->schedule, c->target);
            list[i].counted = k && fv_cost_count(k, &list[i].counts);
        }
        list[i].predicted =
            known && list[i].counted && fv_cost_predict(&list[i].counts, l->bytes, &r, h.cache, threads, &list[i].time);
    }
    return list;
}

static void row(const char *number, const char *name, const fv_counts *k) {
    printf("%-7s %-18s %10.4g %10.4g %10.4g %11.4g", number, name, k->products, k->functions, k->other, k->moved);
}
void cli_costs_print(fv_ctx *ctx, const fv_compiled *c, const cli_cost *list, int threads) {
    const fv_plan *p = c->plan;
    fv_counts sum = {0};
    double seconds = 0;
    bool all = true, timed = true;
    printf("\nas compiled, a run on %d thread%s:\n", threads, threads == 1 ? "" : "s");
    printf("%-7s %-18s %10s %10s %10s %11s %10s  %-9s %10s\n", "launch", "kernel", "products", "functions", "other",
           "moved bytes", "model us", "bound", "without us");
    for (int i = 0; i < p->n_launches[1]; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i + p->n_launches[0]);
        const char *name = fv_cstr(ctx, p->launch[1][i]->kernel->name);
        all = all && list[i].counted;
        timed = timed && list[i].predicted;
        if (!list[i].counted) {
            printf("%-7s %-18s not counted: too many steps\n", number, name);
            continue;
        }
        row(number, name, &list[i].counts);
        sum.products += list[i].counts.products;
        sum.functions += list[i].counts.functions;
        sum.other += list[i].counts.other;
        sum.moved += list[i].counts.moved;
        seconds += list[i].time.seconds;
        if (list[i].predicted)
            printf(" %10.2f  %-9s %10.2f", 1e6 * list[i].time.seconds, fv_bound_names[list[i].time.bound],
                   1e6 * list[i].time.without);
        printf("\n");
    }
    row("total", all ? "" : "(of those counted)", &sum);
    if (timed) printf(" %10.2f", 1e6 * seconds);
    printf("\n");
    if (!timed) printf("no times: the rates of '%s' cannot be measured here\n", c->target->name);
}
