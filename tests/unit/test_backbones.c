/* The backbones: every variant against its published parameter count, names and shapes against published checkpoints,
 * what they refuse, and the attention modules and a small trained network against published answers. */
#define _DEFAULT_SOURCE
#include "backbone_kit.h"

#include <unistd.h>

/* -- Counts: parameters as published, without running statistics; macs: multiply-adds in G --------------------------*/
static const struct { const char *family, *variant; long long parameters; double macs; } published[] = {
    {"nat", "mini", 19984174, 2.7}, {"nat", "tiny", 27901582, 4.3}, {"nat", "small", 50743297, 7.8},
    {"nat", "base", 89769652, 13.7},
    {"dinat", "mini", 19984174, 2.7}, {"dinat", "tiny", 27901582, 4.3}, {"dinat", "small", 50719681, 7.8},
    {"dinat", "base", 89769652, 13.7}, {"dinat", "large", 200943514, 30.5}, {"dinat", "large_384", 200943514, 89.5},
    {"dinat", "large_384_11x11", 201144250, 92.1},
    {"dinat_s", "tiny", 28288354, 4.5}, {"dinat_s", "small", 49606258, 8.7}, {"dinat_s", "base", 87768224, 15.4},
    {"dinat_s", "large", 196532476, 34.5}, {"dinat_s", "large_384", 196532476, 101.3},
    {"vit", "tiny_patch16_224", 5717416, 1.25}, {"vit", "small_patch16_224", 22050664, 4.6},
    {"vit", "small_patch16_384", 22196584, 15.5}, {"vit", "small_patch32_224", 22878952, 1.15},
    {"vit", "base_patch16_224", 86567656, 17.6}, {"vit", "base_patch16_384", 86859496, 55.5},
    {"vit", "base_patch32_224", 88224232, 4.4}, {"vit", "large_patch16_224", 304326632, 61.6},
    {"swin", "tiny_patch4_window7_224", 28288354, 4.5}, {"swin", "small_patch4_window7_224", 49606258, 8.7},
    {"swin", "base_patch4_window7_224", 87768224, 15.4}, {"swin", "base_patch4_window12_384", 87903584, 47.0},
    {"swin", "large_patch4_window7_224", 196532476, 34.5}, {"swin", "large_patch4_window12_384", 196735516, 103.9},
    {"resnet", "18", 11689512, 1.81}, {"resnet", "34", 21797672, 3.66}, {"resnet", "50", 25557032, 4.09},
    {"resnet", "101", 44549160, 7.80}, {"resnet", "152", 60192808, 11.51},
    {"convnext", "tiny", 28589128, 4.46}, {"convnext", "small", 50223688, 8.68}, {"convnext", "base", 88591464, 15.36},
    {"convnext", "large", 197767336, 34.36},
    {"efficientnet", "b0", 5288548, 0.386}, {"efficientnet", "b1", 7794184, 0.687},
    {"efficientnet", "b2", 9109994, 0.86}, {"efficientnet", "b3", 12233232, 1.59},
    {"efficientnet", "b4", 19341616, 3.06},
};

Test(backbones, parameter_counts_of_every_variant) {
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
        expect_cost(published[i].family, published[i].variant, published[i].parameters, published[i].macs);
}

/* -- Names and shapes of published checkpoints ----------------------------------------------------------------------*/
Test(backbones, names_and_shapes_of_checkpoints) {
    expect_checkpoint("nat", "mini", "neighborhood-attention/mini");
    expect_checkpoint("dinat", "mini", "neighborhood-attention/dinat-mini");
    expect_checkpoint("vit", "base_patch16_224", "vit/vit_base_patch16_224");
    expect_checkpoint("swin", "tiny_patch4_window7_224", "swin/swin_tiny_patch4_window7_224");
    expect_checkpoint("resnet", "50", "resnet/resnet50");
    expect_checkpoint("convnext", "tiny", "convnext/convnext_tiny");
    expect_checkpoint("efficientnet", "b0", "efficientnet/efficientnet_b0");
}

/* -- Against a checkpoint's own shapes: every extent that the spec states is checked there --------------------------*/
Test(backbones, build_against_stored_shapes) {
    golden_case c;
    char path[800];
    snprintf(path, sizeof path, "%s/goldens/efficientnet/efficientnet_b0", FOVEA_TESTS_DIR);
    cr_assert(case_open(&c, path));
    fv_spec_options o = {.input_shape = case_input_shape, .param_shape = case_param_shape, .user = &c};
    net right = open_net("efficientnet", "b0", &o), wrong = open_net("efficientnet", "b2", &o);
    cr_expect(right.good, "%s", right.report);
    cr_expect(!wrong.good && strstr(wrong.report, "blocks.0.1"), "b2 on the weights of b0: %s", wrong.report);
    close_net(&right);
    close_net(&wrong);
    case_close(&c);
}

/* -- What is refused ------------------------------------------------------------------------------------------------*/
Test(backbones, unknown_variants_and_unfit_settings_are_refused) {
    static const struct { const char *family, *known; } families[] = {
        {"nat", "base, mini, small, tiny"}, {"dinat", "large, large_384"}, {"dinat_s", "base, large"},
        {"vit", "base_patch16_224"}, {"swin", "base_patch4_window12_384"}, {"resnet", "101, 152, 18, 34, 50"},
        {"convnext", "base, large, small, tiny"}, {"efficientnet", "b0, b1, b2, b3, b4"}};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        refused(families[i].family, "huge", NULL, NULL, FV_E_UNKNOWN, families[i].known);
        refused(families[i].family, NULL, NULL, NULL, FV_E_CONFIG, families[i].known);
    }
    refused("nat", NULL, "embed_dim", "64", FV_E_CONFIG, "config lacks depths, mlp_ratio, num_heads");
    refused("nat", "mini", "embed_dim", "wide", FV_E_CONFIG, "embed_dim");
    refused("nat", "mini", "depths", "3", FV_E_CONFIG, "depths");
    refused("nat", "mini", "depths", "[3,\"4\",6,5]", FV_E_CONFIG, "depths[1]");
    refused("nat", "mini", "depths", "[3,4]", FV_E_CONFIG, "depths has 2 entries and num_heads has 4");
    refused("nat", "mini", "num_heads", "[3,4,8,16]", FV_E_ARGUMENT, "3 heads do not divide c=64");
    refused("nat", "mini", "img_size", "100", FV_E_CONFIG, "kernel_size 7 times the dilation; the nearest that fit: 193");
    refused("dinat", "mini", "img_size", "[256,192]", FV_E_CONFIG, "has w=192: ");
    refused("dinat_s", "tiny", "img_size", "200", FV_E_CONFIG, "the nearest that fit: 221");
    refused("nat", "mini", "depth", "3", FV_E_CONFIG, "nothing reads the setting 'depth'");
    refused("dinat", "mini", "dilations", "[[1],[1],[1],[1]]", FV_E_LUA, "dilations[0] has 1 entries for 3 layers");
    refused("vit", "base_patch16_224", "img_size", "230", FV_E_CONFIG,
            "multiple of patch_size 16; the nearest that fit: 224 and 240");
    refused("vit", "base_patch16_224", "img_size", "-16", FV_E_CONFIG, "img_size is -16; a whole number from 1");
    refused("resnet", "50", "img_size", "[64,1.5]", FV_E_CONFIG, "img_size[1] is 1.5; a whole number from 1");
    refused("vit", "base_patch16_224", "patch_size", "0", FV_E_CONFIG, "patch_size is 0; a whole number from 1");
    refused("vit", "base_patch16_224", "global_pool", "max", FV_E_LUA, "global_pool");
    refused("resnet", "50", "block", "Wide", FV_E_LUA, "Wide");
    refused("resnet", "50", "labels", "[\"a\",\"b\"]", FV_E_CONFIG, "2 names for 1000 classes");
    refused("convnext", "tiny", "num_classes", "0", FV_E_AXIS, "extent 0");
}

/* -- What can be set ------------------------------------------------------------------------------------------------*/
static const fv_axis *input_axes(const net *n) {
    for (int i = 0; i < n->spec.graph->n_nodes; i++)
        if (n->spec.graph->node[i]->op == FV_NODE_INPUT) return n->spec.graph->node[i]->result[0]->axis;
    return NULL;
}
Test(backbones, extents_come_from_shape_or_img_size) {
    const char *names[] = {"b", "h", "w"};
    int64_t values[] = {3, 96, 160};
    fv_spec_options o = {.declare = true, .n_shapes = 3, .shape_name = names, .shape_value = values};
    net n = open_net("swin", "tiny_patch4_window7_224", &o);
    net d = open_net("swin", "tiny_patch4_window7_224", NULL);
    cr_assert(n.good && d.good, "%s%s", n.report, d.report);
    const fv_axis *a = input_axes(&n), *b = input_axes(&d);
    cr_expect(a[0].extent == 3 && a[1].extent == 3 && a[2].extent == 96 && a[3].extent == 160);
    cr_expect(b[0].extent == 1 && b[2].extent == 224 && b[3].extent == 224);
    cr_expect_str_eq(n.spec.labels_json, "\"imagenet\"");
    cr_expect(strstr(n.spec.preprocess_json, "\"size\": [96, 160]") != NULL, "%s", n.spec.preprocess_json);
    close_net(&n);
    close_net(&d);
    o.n_shapes = 2;
    net v = open_net("vit", "base_patch16_224", &o);
    cr_expect(!v.good && strstr(v.report, "96 x 224") != NULL, "%s", v.report);
    close_net(&v);
}
Test(backbones, settings_override_the_variant) {
    const char *keys[] = {"layer_scale", "num_classes", "features", "preprocess.crop_pct"};
    const char *values[] = {"1e-5", "10", "true", "0.5"};
    net n = with_sets("nat", "mini", 4, keys, values);
    cr_assert(n.good, "%s", n.report);
    cr_expect_eq(parameters(&n), 19984174 - 990 * 513 + 2 * (3 * 64 + 4 * 128 + 6 * 256 + 5 * 512));
    cr_expect_eq(n.spec.graph->n_outputs, 2);
    cr_expect(n.spec.labels_json == NULL);
    cr_expect(strstr(n.spec.preprocess_json, "\"crop_pct\": 0.5, \"interpolation\": \"bicubic\"") != NULL, "%s",
              n.spec.preprocess_json);
    close_net(&n);
    const char *off = "false", *key = "layer_scale";
    n = with_sets("nat", "small", 1, &key, &off);
    cr_assert(n.good, "%s", n.report);
    cr_expect_eq(parameters(&n), 50719681, "without layer scale NAT-Small is DiNAT-Small");
    close_net(&n);
    const char *vk[] = {"class_token", "reg_tokens", "global_pool", "init_values", "qk_norm"};
    const char *vv[] = {"false", "4", "avg", "1e-5", "true"};
    n = with_sets("vit", "tiny_patch16_224", 5, vk, vv);
    cr_assert(n.good, "%s", n.report);
    cr_expect_eq(parameters(&n), 5717416 - 2 * 192 + 2 * 4 * 192 + 12 * (2 * 192 + 4 * 64),
                 "class token out; registers, scales and norms in");
    close_net(&n);
}

/* -- The modules against published answers of single blocks: odd maps, padding, shift, dilation, layer scale --------*/
static void expect_block(const char *folder, const char *text) {
    golden_case c;
    char path[800], spec[] = "/tmp/fovea_block_XXXXXX.lua";
    snprintf(path, sizeof path, "%s/goldens/%s", FOVEA_TESTS_DIR, folder);
    cr_assert(case_open(&c, path), "%s", path);
    int fd = mkstemps(spec, 4), missing;
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    fv_buf report = {0};
    int right = case_run(&c, spec, NULL, FOVEA_SPEC_DIR, &report, &missing);
    cr_expect(right == 1 && missing == 0, "%s: %s", folder, report.text ? report.text : "");
    fv_buf_dispose(&report);
    unlink(spec);
    case_close(&c);
}
Test(backbones, modules_answer_as_published) {
    const char *swin =
        "local x = input('x', 'b h w c')\n"
        "x = residual(x, function(x) return window_attention(layer_norm(x, 'norm1', config.eps), 'attn',\n"
        "  { heads = config.num_heads, window = config.window_size, shift = config.shift_size,\n"
        "    mask = config.mask_value }) end)\n"
        "x = residual(x, function(x) return mlp(layer_norm(x, 'norm2', config.eps), 'mlp') end)\n"
        "output('y', x, 'b h w c')\n";
    expect_block("swin/w4-shift2-pad", swin);
    expect_block("swin/w7-shift3-nonsquare", swin);
    expect_block("neighborhood-attention/layer-k3-d2",
        "local o = { num_heads = { config.num_heads }, kernel_size = config.kernel_size, depths = { 1 },\n"
        "  dilations = { { config.dilation } }, mlp_ratio = config.mlp_ratio, qkv_bias = config.qkv_bias,\n"
        "  layer_scale = config.layer_scale, norm_eps = config.norm_eps }\n"
        "local x = require 'backbones/parts/nat'.layer(input('input', 'b h w c'), '', o, 1, 1)\n"
        "output('output', x, 'b h w c')\n");
}

/* -- Whole networks: logits. The cheapest always (2 s); all of them with FOVEA_TEST_NETS=1 (2 minutes) ---------------- */
Test(backbones, logits_as_published) {
    expect_logits("efficientnet", "b0", "efficientnet/efficientnet_b0");
    if (!getenv("FOVEA_TEST_NETS")) return;
    expect_logits("convnext", "tiny", "convnext/convnext_tiny");
    expect_logits("resnet", "50", "resnet/resnet50");
    expect_logits("swin", "tiny_patch4_window7_224", "swin/swin_tiny_patch4_window7_224");
    expect_logits("nat", "mini", "neighborhood-attention/mini");
    expect_logits("dinat", "mini", "neighborhood-attention/dinat-mini");
    expect_logits("vit", "base_patch16_224", "vit/vit_base_patch16_224");
}

/* -- The trained digits: config.json alone makes the network, its answers are those that are stored -----------------*/
Test(backbones, digits_answer_as_trained) {
    golden_case c = {.param = calloc(CASE_MAX, sizeof *c.param)};
    char folder[600];
    size_t len;
    snprintf(folder, sizeof folder, "%s/data/digits", FOVEA_TESTS_DIR);
    c.n_params = case_safetensors(folder, "dinat_digits.safetensors", c.param, CASE_MAX);
    case_tensor both[4];
    int n_both = case_safetensors(folder, "expect.safetensors", both, 4);
    case_tensor *input = case_find(both, n_both, "input"), *logits = case_find(both, n_both, "logits");
    cr_assert(input && logits && c.n_params > 0);
    c.input[c.n_inputs++] = *input;
    c.config = case_slurp(folder, "config.json", &len);
    cr_assert(c.config != NULL);
    fv_spec_options o = {.config_json = c.config, .input_shape = case_input_shape, .param_shape = case_param_shape,
        .user = &c};
    net n = open_net("dinat", NULL, &o);
    cr_assert(n.good, "%s", n.report);
    cr_expect_eq(parameters(&n), 182348);
    cr_expect(strncmp(n.spec.labels_json, "[\"0\", \"1\"", 9) == 0, "%s", n.spec.labels_json);
    cr_expect(strstr(n.spec.preprocess_json, "\"interpolation\": \"bilinear\"") != NULL);
    cr_expect(strstr(n.spec.preprocess_json, "\"size\": [96, 96]") != NULL);
    double *out = NULL;
    c.ctx = n.ctx;
    cr_assert(fv_reference_run(n.spec.graph, (fv_str){0}, case_source, &c, &out, NULL, NULL));
    for (int64_t i = 0; i < case_count(logits); i++)
        cr_expect(fabs(out[i] - logits->data[i]) < 2e-6, "logit %lld: %.9g, stored %.9g", (long long)i, out[i],
                  logits->data[i]);
    free(out);
    free(logits->data);
    close_net(&n);
    case_close(&c);
}
