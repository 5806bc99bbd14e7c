/* Backbones of windows, gates, branches and generated kernels: HaloNet, DaViT, ConViT, CrossViT, SHViT, DHVT, L2ViT,
 * CAS-ViT, LSNet, AttNet. Every variant's parameters as published, one checkpoint's names and shapes per system, logits
 * as published, the attention modules as specs of their own, and what is refused. */
#define _DEFAULT_SOURCE
#include "backbone_kit.h"

/* -- Counts. Where no exact number is published it is the sum over the published layers, which agrees with what is.
 * macs are the published G, but for l2vit and attnet: by definition, pair by pair for the linear attention (published
 * 4.7, 9.0, 15.9), and with a mean projected instead of the mean of a projected map. ------------------------------- */
static const struct { const char *family, *variant; long long parameters; double macs; } published[] = {
    {"halonet", "26t", 12480288, 3.19}, {"halonet", "50ts", 22733280, 5.30}, {"halonet", "h1", 8100056, 3.00},
    {"halonet", "sehalonet_33ts", 13691712, 3.55}, {"halonet", "eca_halonext_26ts", 10756885, 2.44},
    {"davit", "tiny", 28360168, 4.54}, {"davit", "small", 49745896, 8.80}, {"davit", "base", 87954408, 15.5},
    {"davit", "large", 196811752, 34.6},
    {"convit", "tiny", 5710512, 1.26}, {"convit", "small", 27777322, 5.76}, {"convit", "base", 86540040, 17.52},
    {"crossvit", "tiny_224", 7014800, 1.57}, {"crossvit", "small_224", 26856272, 5.63},
    {"crossvit", "base_224", 105025232, 21.2}, {"crossvit", "9_224", 8553296, 1.85},
    {"crossvit", "15_224", 27528464, 5.81}, {"crossvit", "18_224", 43271408, 9.05},
    {"crossvit", "9_dagger_224", 8776592, 1.99}, {"crossvit", "15_dagger_224", 28209008, 6.13},
    {"crossvit", "15_dagger_384", 28500080, 21.4}, {"crossvit", "18_dagger_224", 44266976, 9.5},
    {"crossvit", "18_dagger_384", 44606560, 32.4},
    {"shvit", "s1", 6330808, 0.241}, {"shvit", "s2", 11483072, 0.366}, {"shvit", "s3", 14245273, 0.601},
    {"shvit", "s4", 16588484, 0.986},
    {"dhvt", "tiny_imagenet_patch16", 6267334, 1.355}, {"dhvt", "small_imagenet_patch16", 24040606, 5.03},
    {"dhvt", "tiny_cifar_patch4", 6008650, 0.388}, {"dhvt", "small_cifar_patch4", 23425450, 1.529},
    {"dhvt", "tiny_cifar_patch2", 5845162, 1.705}, {"dhvt", "small_cifar_patch2", 22766698, 6.194},
    {"l2vit", "tiny", 28596781, 6.858}, {"l2vit", "small", 50199157, 11.298}, {"l2vit", "base", 88577188, 18.898},
    {"cas-vit", "xs", 3200700, 0.547}, {"cas-vit", "s", 5764224, 0.912}, {"cas-vit", "m", 12421520, 1.859},
    {"cas-vit", "t", 21763120, 3.557},
    {"lsnet", "t", 11409832, 0.316}, {"lsnet", "s", 16146304, 0.538}, {"lsnet", "b", 23313608, 1.245},
    {"lsnet", "t_distill", 11795600, 0.316}, {"lsnet", "s_distill", 16596200, 0.538},
    {"lsnet", "b_distill", 23827632, 1.245},
    {"attnet", "xxs", 2853556, 0.501}, {"attnet", "xs", 5554902, 0.943}, {"attnet", "s", 7681316, 1.242},
    {"attnet", "t1", 13714900, 2.255}, {"attnet", "t2", 27010782, 4.733}, {"attnet", "t3", 49175682, 8.702},
    {"attnet", "t4", 87320214, 15.549},
};
Test(backbones_a, parameter_counts_of_every_variant) {
    for (size_t i = 0; i < sizeof published / sizeof *published; i++)
        expect_cost(published[i].family, published[i].variant, published[i].parameters, published[i].macs);
}

static const struct { const char *family, *variant, *folder; } checkpoint[] = {
    {"shvit", "s1", "shvit/shvit_s1"}, {"lsnet", "t", "lsnet/lsnet_t"}, {"attnet", "xxs", "attnet/xxs"},
    {"cas-vit", "xs", "cas-vit/xs"}, {"convit", "tiny", "convit/convit_tiny"},
    {"dhvt", "tiny_imagenet_patch16", "dhvt/dhvt_tiny_imagenet_patch16"},
    {"crossvit", "tiny_224", "crossvit/crossvit_tiny_224"}, {"halonet", "26t", "halonet/26t"},
    {"davit", "tiny", "davit/tiny"}, {"l2vit", "tiny", "l2vit/l2vit_tiny"},
};
Test(backbones_a, names_and_shapes_of_checkpoints) {
    for (size_t i = 0; i < sizeof checkpoint / sizeof *checkpoint; i++)
        expect_checkpoint(checkpoint[i].family, checkpoint[i].variant, checkpoint[i].folder);
}
/* The two cheapest always (3 s); all of them with FOVEA_TEST_NETS=1 (2 minutes). */
Test(backbones_a, logits_as_published) {
    size_t n = getenv("FOVEA_TEST_NETS") ? sizeof checkpoint / sizeof *checkpoint : 2;
    for (size_t i = 0; i < n; i++) expect_logits(checkpoint[i].family, checkpoint[i].variant, checkpoint[i].folder);
}

/* -- The modules as specs of their own: what they declare without weights ------------------------------------------*/
static const char *module_axis[] = {"b", "head", "h", "w", "n", "d", "c"};
static const int64_t module_extent[] = {2, 4, 16, 24, 30, 8, 48};
static const fv_spec_options module_shapes = {.n_shapes = 7, .shape_name = module_axis,
    .shape_value = module_extent};
Test(backbones_a, modules_are_specs) {
    expect_module("halo", "{}", &module_shapes, 2 * 27 * 8);
    expect_module("channel", "{}", &module_shapes, 0);
    expect_module("gated_position", "{}", &module_shapes, 4 * 3 + 4 + 4);
    expect_module("class_query", "{}", &module_shapes, 0);
    expect_module("single_head", "{}", &module_shapes, 0);
    expect_module("head_tokens", "{\"num_heads\": 6}", &module_shapes,
                  3 * 48 * 49 + 48 * 49 + 48 * 9 + 2 * 8 + 6 * 48);
    expect_module("clamped_linear", "{}", &module_shapes, 4);
    expect_module("additive", "{}", &module_shapes, 3 * 48 * 48 + 2 * (48 * (9 + 1 + 2 + 1) + 48 * 48) + 2 * 48 * 10);
    expect_module("large_small", "{}", &module_shapes,
                  24 * 48 + 48 + 24 * 49 + 48 + 24 * 24 + 48 + 54 * 25 + 2 * 54 + 2 * 48);
    expect_module("attentive_conv", "{}", &module_shapes, 3 * 48 * 49 + 9 * 10 + 48);
}

/* -- What is refused -----------------------------------------------------------------------------------------------*/
Test(backbones_a, unknown_variants_are_refused) {
    static const struct { const char *family, *known; } families[] = {
        {"halonet", "26t, 50ts, eca_halonext_26ts, h1, sehalonet_33ts"}, {"davit", "base, large, small, tiny"},
        {"convit", "base, small, tiny"}, {"crossvit", "9_224, 9_dagger_224, base_224, small_224, tiny_224"},
        {"shvit", "s1, s2, s3, s4"}, {"dhvt", "tiny_cifar_patch4, tiny_imagenet_patch16"},
        {"l2vit", "base, base_384, small, tiny"}, {"cas-vit", "m, s, t, xs"},
        {"lsnet", "b, b_distill, s, s_distill, t, t_distill"},
        {"attnet", "s, t1, t2, t3, t4, xs, xxs"}};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        refused(families[i].family, "huge", NULL, NULL, FV_E_UNKNOWN, families[i].known);
        refused(families[i].family, NULL, NULL, NULL, FV_E_CONFIG, families[i].known);
    }
}
Test(backbones_a, unfit_sizes_name_the_rule_and_the_nearest) {
    refused("halonet", "26t", "img_size", "300", FV_E_CONFIG, "blocks of 8; the nearest that fit: 256 and 497");
    refused("halonet", "h1", "img_size", "1", FV_E_CONFIG, "the nearest that fit: 253");
    refused("convit", "tiny", "img_size", "230", FV_E_CONFIG,
            "multiple of patch_size 16; the nearest that fit: 224 and 240");
    refused("crossvit", "tiny_224", "img_size", "[240,230]", FV_E_LUA,
            "img_size[1] 230 is no multiple of patch_size 16; the nearest: 224 and 240");
    refused("crossvit", "tiny_224", "img_size", "288", FV_E_CONFIG, "img_size is a number; a list is wanted");
    const char *axes[] = {"h", "w"};
    int64_t extents[] = {224, 256};
    fv_spec_options o = {.declare = true, .n_shapes = 2, .shape_name = axes, .shape_value = extents};
    static const struct { const char *family, *variant; } fixed[] = {{"convit", "tiny"}, {"crossvit", "tiny_224"},
        {"lsnet", "t"}};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        net n = open_net(fixed[i].family, fixed[i].variant, &o);
        cr_expect(!n.good && strstr(n.report, "224 x 256"), "%s: %s", fixed[i].family, n.report);
        close_net(&n);
    }
    static const struct { const char *family, *variant; } any[] = {{"davit", "tiny"}, {"shvit", "s1"},
        {"dhvt", "tiny_imagenet_patch16"}, {"cas-vit", "xs"}, {"attnet", "xxs"}, {"l2vit", "tiny"}};
    extents[0] = 75, extents[1] = 130;
    for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
        net n = open_net(any[i].family, any[i].variant, &o);
        cr_expect(n.good, "%s takes any size: %s", any[i].family, n.report);
        close_net(&n);
    }
}
Test(backbones_a, unfit_settings_are_refused) {
    refused("halonet", "26t", "block_types", "[\"bottle\",\"bottle\",\"bottle\",\"wide\"]", FV_E_LUA, "'wide'");
    refused("halonet", "26t", "activation", "gelu", FV_E_LUA, "activation is 'gelu'; it is one of: relu, silu");
    refused("halonet", "26t", "channels", "[256,512,1024]", FV_E_CONFIG,
            "block_types has 4 entries and channels has 3");
    refused("davit", "tiny", "attn_types", "[\"global\"]", FV_E_LUA, "'global'");
    refused("convit", "tiny", "local_up_to_layer", "12", FV_E_LUA, "local_up_to_layer is below depth");
    refused("crossvit", "tiny_224", "depth", "[[1,4,1]]", FV_E_LUA, "fusions with a perceptron");
    refused("crossvit", "9_dagger_224", "patch_size", "[12,14]", FV_E_LUA, "patches of 12 or 16, not 14");
    refused("shvit", "s1", "types", "[\"i\",\"s\",\"q\"]", FV_E_LUA, "types[2] is 'q'");
    refused("dhvt", "tiny_imagenet_patch16", "patch_size", "8", FV_E_LUA, "patch_size is 2, 4 or 16, not 8");
    refused("lsnet", "t", "num_heads", "[3,3,4]", FV_E_CONFIG, "embed_dim has 4 entries and num_heads has 3");
    refused("attnet", "xxs", "dims", "[32,64]", FV_E_CONFIG, "dims has 2 entries");
}

/* -- What can be set -----------------------------------------------------------------------------------------------*/
Test(backbones_a, settings_override_the_variant) {
    const char *keys[] = {"num_classes", "features"}, *values[] = {"10", "true"};
    static const struct { const char *family, *variant; long long count; } head[] = {
        {"halonet", "26t", 12480288 - 990 * 2049}, {"crossvit", "tiny_224", 7014800 - 990 * (97 + 193)},
        {"cas-vit", "xs", 3200700 - 990 * 221 * 2}, {"attnet", "xxs", 2853556 - 990 * 241}};
    for (size_t i = 0; i < sizeof head / sizeof *head; i++) {
        net n = with_sets(head[i].family, head[i].variant, 2, keys, values);
        cr_assert(n.good, "%s", n.report);
        cr_expect_eq(parameters(&n), head[i].count, "%s: %lld", head[i].family, parameters(&n));
        cr_expect_eq(n.spec.graph->n_outputs, 2);
        cr_expect(n.spec.labels_json == NULL);
        close_net(&n);
    }
    const char *k[] = {"distillation"}, *v[] = {"true"}, *off[] = {"false"};
    net n = with_sets("shvit", "s1", 1, k, v);
    cr_assert(n.good, "%s", n.report);
    cr_expect_eq(parameters(&n), 6330808 + 2 * 320 + 321 * 1000, "a second head");
    close_net(&n);
    n = with_sets("cas-vit", "xs", 1, k, off);
    cr_assert(n.good, "%s", n.report);
    cr_expect_eq(parameters(&n), 3200700 - 221 * 1000, "one head");
    close_net(&n);
}
