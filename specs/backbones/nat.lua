-- NAT: neighborhood attention transformer (Hassani et al., arXiv:2204.07143).
local o = settings({
  mini  = { embed_dim = 64,  mlp_ratio = 3, depths = { 3, 4, 6, 5 },  num_heads = { 2, 4, 8, 16 } },
  tiny  = { embed_dim = 64,  mlp_ratio = 3, depths = { 3, 4, 18, 5 }, num_heads = { 2, 4, 8, 16 } },
  small = { embed_dim = 96,  mlp_ratio = 2, depths = { 3, 4, 18, 5 }, num_heads = { 3, 6, 12, 24 },
            layer_scale = 1e-5 },
  base  = { embed_dim = 128, mlp_ratio = 2, depths = { 3, 4, 18, 5 }, num_heads = { 4, 8, 16, 32 },
            layer_scale = 1e-5 },
}, {
  img_size = 224, in_chans = 3, num_classes = 1000, kernel_size = 7, dilations = false, qkv_bias = true,
  qk_scale = false, rel_pos_bias = true, layer_scale = false, norm_eps = 1e-5,
})
local x = picture(o)
classify(x, require "parts/nat".net(x, o), "head", o)
