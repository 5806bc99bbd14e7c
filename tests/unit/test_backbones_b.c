/* Backbones of routing, pooled keys, generated kernels, filters and linear attention: BiFormer, TransNeXt, VOLO, RAVLT,
 * OverLoCK, HAT, HorNet, AFFNet, FFNet, InLine. Every variant's parameters as published, one checkpoint's names and
 * shapes per system, answers as published, the attention modules as specs of their own, and what is refused. */
#define _DEFAULT_SOURCE
#include "backbone_kit.h"

/* -- Counts. Where no exact number is published it is the sum over the published layers, which agrees with what is.
 * macs are the published G or the sum over the layers, but: transnext's position network is counted as defined (it
 * depends on weights alone), affnet's and hornet's transforms are products, overlock's and ffnet's parallel kernels are
 * one (as deployed). ---------------------------------------------------------------------------------------------- */
static const struct { const char *family, *variant; long long parameters; double macs; } published[] = {
    {"biformer", "tiny", 13142760, 2.216}, {"biformer", "small", 25536232, 4.464},
    {"biformer", "base", 56804968, 9.759}, {"biformer", "stl", 28372552, 4.574},
    {"transnext", "micro", 12809304, 2.53 + 1.10}, {"transnext", "tiny", 28258960, 7.21},
    {"transnext", "small", 49741564, 13.2}, {"transnext", "base", 89721496, 22.3},
    {"transnext", "micro_aaaa", 13114008, 3.66},
    {"volo", "d1", 26632040, 6.94}, {"volo", "d2", 58678336, 14.3}, {"volo", "d3", 86325072, 20.7},
    {"volo", "d4", 192961520, 44.3}, {"volo", "d5", 295455584, 72.4},
    {"ravlt", "t", 14897768, 2.6}, {"ravlt", "s", 25591208, 4.9}, {"ravlt", "b", 48241288, 10.6},
    {"ravlt", "l", 95242440, 17.2},
    {"overlock", "xt", 16969600, 2.7}, {"overlock", "t", 34476448, 5.64}, {"overlock", "s", 57795748, 9.9},
    {"overlock", "b", 97434816, 17.1},
    {"hat", "s_x2", 9473471, 52.1}, {"hat", "s_x3", 9658111, 52.9}, {"hat", "s_x4", 9621183, 54.6},
    {"hat", "x2", 20624795, 101.4}, {"hat", "x3", 20809435, 102.2}, {"hat", "x4", 20772507, 103.9},
    {"hat", "l_x2", 40698863, 200.5}, {"hat", "l_x3", 40883503, 201.3}, {"hat", "l_x4", 40846575, 203.0},
    {"hornet", "tiny_7x7", 22409512, 3.97}, {"hornet", "tiny_gf", 22991848, 3.98},
    {"hornet", "small_7x7", 49528264, 8.8}, {"hornet", "small_gf", 50401768, 8.8},
    {"hornet", "base_7x7", 87256680, 15.6}, {"hornet", "base_gf", 88421352, 15.6},
    {"hornet", "large_7x7", 194542504, 34.8}, {"hornet", "large_gf", 196289512, 34.8},
    {"hornet", "large_gf_img384", 201806824, 102.8},
    {"affnet", "xx_small", 1436264, 0.397}, {"affnet", "x_small", 2654232, 0.847}, {"affnet", "small", 5568696, 1.54},
    {"ffnet", "1", 13775656, 2.98}, {"ffnet", "1_fused", 13660152, 2.98}, {"ffnet", "2", 27208408, 6.0},
    {"ffnet", "2_fused", 26908440, 6.0}, {"ffnet", "3", 48817896, 10.1}, {"ffnet", "3_fused", 48330632, 10.1},
    {"ffnet", "4", 79868968, 43.1}, {"ffnet", "4_fused", 79200360, 43.1},
    {"inline", "deit_t", 6477736, 1.1}, {"inline", "deit_s", 16734760, 5.0}, {"inline", "deit_b", 23797096, 17.2},
    {"inline", "pvt_t", 12032232, 2.0}, {"inline", "pvt_s", 21556136, 3.9}, {"inline", "pvt_m", 37618856, 6.9},
    {"inline", "pvt_l", 51154280, 10.2}, {"inline", "swin_t", 29223544, 4.5}, {"inline", "swin_s", 49793296, 8.7},
    {"inline", "swin_b", 88350120, 15.4},
    {"inline", "cswin_t", 20604520, 4.3}, {"inline", "cswin_s", 33032872, 6.8}, {"inline", "cswin_b", 73413640, 14.9},
};
Test(backbones_b, parameter_counts_of_every_variant) {
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
        expect_cost(published[i].family, published[i].variant, published[i].parameters, published[i].macs);
}
static long long count_with(const char *family, const char *variant, const char *key, const char *value) {
    net n = with_sets(family, variant, 1, &key, &value);
    cr_assert(n.good, "%s", n.report);
    long long r = parameters(&n);
    close_net(&n);
    return r;
}
Test(backbones_b, stored_forms_and_heads) {
    cr_expect_eq(count_with("overlock", "xt", "deploy", "true"), 16453712, "the deployed form as published");
    cr_expect_eq(count_with("overlock", "t", "deploy", "true"), 33467040);
    cr_expect_eq(count_with("ffnet", "1", "fused", "true"), 13660152);
    cr_expect_eq(count_with("volo", "d1", "return_dense", "false"), 26632040 - 385 * 1000, "without the second head");
    cr_expect_eq(count_with("ravlt", "t", "num_classes", "10"), 14897768 - 990 * 1025);
    cr_expect_eq(count_with("hornet", "tiny_7x7", "layer_scale_init_value", "0"),
                 22409512 - 2 * (2 * 64 + 3 * 128 + 18 * 256 + 2 * 512), "no layer scale");
    cr_expect_eq(count_with("hat", "s_x4", "patch_norm", "false"), 9621183 - 2 * 144);
    cr_expect_eq(count_with("transnext", "micro", "qkv_bias", "false"),
                 12809304 - 3 * (2 * 48 + 2 * 96 + 15 * 192 + 2 * 384));
}

static const struct { const char *family, *variant, *folder; } checkpoint[] = {
    {"affnet", "xx_small", "affnet/xx_small"},
    {"inline", "deit_t", "inline/deit-t"}, {"biformer", "tiny", "biformer/tiny"},
    {"transnext", "micro", "transnext/micro"}, {"volo", "d1", "volo/volo_d1"}, {"ravlt", "t", "ravlt/ravlt_t"},
    {"overlock", "xt", "overlock/xt"}, {"hornet", "tiny_7x7", "hornet/tiny_7x7"}, {"ffnet", "1", "ffnet/ffnet_1"},
    {"hat", "s_x4", "hat/hat_s_x4"},
};
Test(backbones_b, names_and_shapes_of_checkpoints) {
    for (size_t i = 0; i < sizeof checkpoint / sizeof *checkpoint; i++)
        expect_checkpoint(checkpoint[i].family, checkpoint[i].variant, checkpoint[i].folder);
}
/* The cheapest always; all of them with FOVEA_TEST_NETS=1 (minutes). */
Test(backbones_b, answers_as_published) {
    size_t n = getenv("FOVEA_TEST_NETS") ? sizeof checkpoint / sizeof *checkpoint : 1;
    for (size_t i = 0; i < n; i++) expect_logits(checkpoint[i].family, checkpoint[i].variant, checkpoint[i].folder);
}

/* -- The modules as specs of their own: what they declare without weights ------------------------------------------ */
static const char *module_axis[] = {"b", "head", "h", "w", "d", "c", "e"};
static const int64_t module_extent[] = {2, 4, 28, 14, 8, 48, 12};
static const fv_spec_options module_shapes = {.n_shapes = 7, .shape_name = module_axis,
    .shape_value = module_extent};
Test(backbones_b, modules_are_specs) {
    expect_module("routed", "{}", &module_shapes, 0);
    expect_module("window_pooled", "{}", &module_shapes, 4 * 9);
    expect_module("outlook", "{\"num_heads\": 3}", &module_shapes, 2 * 48 * 48 + 48 + 3 * 81 * 49);
    expect_module("rank_augmented", "{}", &module_shapes, 0);
    expect_module("rank_augmented", "{\"linear\": false}", &module_shapes, 0);
    expect_module("context_mixing", "{\"num_heads\": 4, \"kernel_size\": 7}", &module_shapes,
                  24 * 48 + 24 * 12 + 4 * 24 + 74 * 50 + 8 * (81 + 169));
    expect_module("overlapping", "{\"window\": 14, \"overlap\": 20}", &module_shapes, 33 * 33 * 4);
    expect_module("recursive_gate", "{\"order\": 3}", &module_shapes,
                  48 * 96 + 96 + 84 * 50 + 12 * 24 + 24 + 24 * 48 + 48 + 48 * 49);
    expect_module("recursive_gate", "{\"order\": 3, \"filter\": [14, 8]}", &module_shapes,
                  48 * 96 + 96 + 42 * (9 + 2 * 14 * 8) + 4 * 84 + 12 * 24 + 24 + 24 * 48 + 48 + 48 * 49);
    expect_module("frequency_filter", "{}", &module_shapes, 2 * 2 * (8 * 36 + 48));
    expect_module("metamixer", "{}", &module_shapes, 48 * 48 + 2 * 48 + 2 * 48 * (49 + 9 + 4));
    expect_module("injective", "{}", &module_shapes, 10 * 32 * 8 + 10 * 32);
}

/* -- What is refused ----------------------------------------------------------------------------------------------- */
Test(backbones_b, unknown_variants_are_refused) {
    static const struct { const char *family, *known; } families[] = {
        {"biformer", "base, small, stl, tiny"}, {"transnext", "base, micro, micro_aaaa, small, tiny"},
        {"volo", "d1, d2, d3, d4, d5"}, {"ravlt", "b, l, s, t"}, {"overlock", "b, s, t, xt"},
        {"hat", "l_x2, l_x3, l_x4, s_x2, s_x3, s_x4, x2, x3, x4"}, {"hornet", "base_7x7, base_gf"},
        {"affnet", "small, x_small, xx_small"}, {"ffnet", "1, 1_fused, 2, 2_fused, 3, 3_fused, 4, 4_fused"},
        {"inline", "cswin_b, cswin_b_384, cswin_s, cswin_t, deit_b"}};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        refused(families[i].family, "huge", NULL, NULL, FV_E_UNKNOWN, families[i].known);
    refused("biformer", NULL, NULL, NULL, FV_E_CONFIG, "config lacks depth, embed_dim");
}
Test(backbones_b, unfit_sizes_name_the_rule_and_the_nearest) {
    refused("biformer", "tiny", "img_size", "230", FV_E_CONFIG, "n_win = 7 parts a side (or set auto_pad); the nearest "
            "that fit: 224 and 333");
    refused("volo", "d1", "img_size", "230", FV_E_CONFIG, "twice patch_size, 16; the nearest that fit: 224 and 240");
    refused("inline", "deit_t", "img_size", "230", FV_E_CONFIG, "the nearest that fit: 224 and 240");
    refused("inline", "cswin_t", "img_size", "256", FV_E_CONFIG, "multiple of 224; the nearest that fit: 224 and 448");
    refused("hat", "s_x4", "img_size", "5", FV_E_CONFIG, "windows of 16 needs a longer side; the nearest that fit: 9");
    const char *axes[] = {"h", "w"};
    int64_t extents[] = {224, 256};
    fv_spec_options o = {.declare = true, .n_shapes = 2, .shape_name = axes, .shape_value = extents};
    static const struct { const char *family, *variant; } fixed[] = {{"volo", "d1"}, {"inline", "deit_t"}};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        net n = open_net(fixed[i].family, fixed[i].variant, &o);
        cr_expect(!n.good && strstr(n.report, "224 x 256"), "%s: %s", fixed[i].family, n.report);
        close_net(&n);
    }
    static const struct { const char *family, *variant; } any[] = {{"transnext", "micro"}, {"ravlt", "t"},
        {"overlock", "xt"}, {"hat", "s_x3"}, {"hornet", "tiny_7x7"}, {"hornet", "tiny_gf"}, {"affnet", "xx_small"},
        {"ffnet", "1"}, {"inline", "pvt_t"}, {"inline", "swin_t"}};
    extents[0] = 75, extents[1] = 130;
    for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
        net n = open_net(any[i].family, any[i].variant, &o);
        cr_expect(n.good, "%s takes any size: %s", any[i].family, n.report);
        if (n.good) cr_expect_eq(fv_graph_verify(n.spec.graph), 0, "%s", any[i].family);
        close_net(&n);
    }
    const char *key = "auto_pad", *yes = "true";
    fv_spec_options padded = o;
    padded.n_sets = 1, padded.set_key = &key, padded.set_value = &yes;
    net n = open_net("biformer", "tiny", &padded);
    cr_expect(n.good, "%s", n.report);
    close_net(&n);
}
Test(backbones_b, unfit_settings_are_refused) {
    refused("biformer", "tiny", "topks", "[1,4,0,-2]", FV_E_LUA, "topks[2] is 0");
    refused("biformer", "tiny", "topks", "[1,4]", FV_E_CONFIG, "topks has 2");
    refused("transnext", "micro", "sr_ratios", "[8,4,2]", FV_E_CONFIG, "sr_ratios has 3");
    refused("ravlt", "t", "flagss", "[\"l\",\"l\",\"v\",\"x\"]", FV_E_LUA, "not 'x'");
    refused("ravlt", "t", "num_heads", "[1,2,4,256]", FV_E_LUA, "no multiple of 4");
    refused("overlock", "xt", "kernel_size", "[17,15,12,7]", FV_E_LUA, "not 12");
    refused("overlock", "xt", "sub_depth", "[6]", FV_E_CONFIG, "sub_depth has 1");
    refused("hat", "s_x4", "upscale", "5", FV_E_LUA, "upscale is 2, 3 or 4");
    refused("hornet", "tiny_7x7", "order", "[2,3,4,12]", FV_E_LUA, "order 12");
    refused("ffnet", "1", "kernel_sizes1", "[3,3,5,7]", FV_E_LUA, "not 5");
    refused("inline", "deit_t", "layout", "vit", FV_E_LUA, "not 'vit'");
}

/* What a picture becomes: no labels and no norm where the answer is a picture. */
Test(backbones_b, preprocessing_is_data) {
    net n = open_net("hat", "x4", NULL);
    cr_assert(n.good, "%s", n.report);
    cr_expect(n.spec.labels_json == NULL);
    cr_expect(strstr(n.spec.preprocess_json, "\"size\": [64, 64]") != NULL, "%s", n.spec.preprocess_json);
    cr_expect_eq(n.spec.graph->output[0].value->obj.rank, 4);
    close_net(&n);
    n = open_net("volo", "d1", NULL);
    cr_expect(n.good && strstr(n.spec.preprocess_json, "\"crop_pct\": 0.96") != NULL);
    cr_expect_str_eq(n.spec.labels_json, "\"imagenet\"");
    close_net(&n);
    n = open_net("ffnet", "4_fused", NULL);
    cr_expect(n.good && strstr(n.spec.preprocess_json, "\"crop_pct\": 0.95") != NULL);
    cr_expect(n.good && strstr(n.spec.preprocess_json, "\"size\": [384, 384]") != NULL, "%s", n.spec.preprocess_json);
    close_net(&n);
}
