-- Large-small convolution (LSNet, Wang et al., arXiv:2503.23135): what a large window sees makes the weights of a small
-- one, a kernel for every place.
-- require "attention/large_small": module(x, name, o); as a spec: x: b c h w; config: what o takes

-- o: groups (8: so many channels share one kernel, interleaved: channel c has kernel c mod (c / groups)), lks (7), sks
-- (3), bn_eps, gn_eps. The kernels are normed over their taps and the whole map, and need not sum to 1.
local function module(x, name, o)
  local c, G, K = x.c, x.c // (o.groups or 8), o.sks or 3
  local function conv(w, i, more)
    return conv_bn(w, name .. ".lkp.cv" .. i, with({ conv = "c", eps = o.bn_eps, kernel = 1 }, more))
  end
  local w = relu(conv(x, 1, { out = c // 2 })):store()
  w = conv(w, 2, { kernel = o.lks or 7, depthwise = true })
  w = relu(conv(w, 3, { out = c // 2 }))
  w = linear(w, name .. ".lkp.cv4", ("g=%d t=%d"):format(G, K * K), { ones = 2 })
  local function affine(p) return param(name .. ".lkp.norm." .. p, "(g t)", { g = G, t = K * K }) end
  w = standardise(w, "t h w", o.gn_eps or 1e-5) * affine "weight" + affine "bias"
  local near = window{ h = "u=" .. K, w = "v=" .. K, border = 0 }
  local y = contract(near(x:split("c = r g", { g = G })), w:split("t = u v", { u = K, v = K }), "u v"):merge"c = r g"
  return batch_norm(y, name .. ".bn", o.bn_eps) + x
end

if ... then return { module = module } end
output("output", module(input("x", "b c h w"), "", config), "b c h w")
