-- OverLoCK: ContMix, a convolution whose kernels come from the affinity of each pixel to a 7x7 summary of the
-- context.  x: b h w c
local function dw(x, name) return conv2d(x, name) end
local function res_dw(x, name) return (x + dw(x, name)) end
local function conv_bn(x, conv_name, bn_name) return batch_norm(linear(x, conv_name, "c"), bn_name, config.bn_eps) end
local function scale(x, name) return x * param(name..".weight", "c") + param(name..".bias", "c") end
local function pooled(x, n, m) return bins("h = ph, w = pw", { ph = n, pw = m })(x):mean"h w" end

local function grn(x, name)                                       -- global response normalisation
  local norm = sqrt((x^2):sum"h w")
  local n = norm / (norm:mean"c" + 1e-6)
  return (param(name..".gamma", "1 c") * n + 1) * x + param(name..".beta", "1 c")
end
-- parallel depthwise branches; prepare sums their kernels
local function dilated_reparam(x, name, k)
  local function branch(conv_name, bn_name, k, D)
    return batch_norm(conv2d(x, name..conv_name, { dilation = D, pad = k // 2 * D }), name..bn_name, config.bn_eps)
  end
  local y = branch(".lk_origin", ".origin_bn", k, 1)
  for _, kD in ipairs(config.dilated_branches) do
    local id = ("k%d_%d"):format(kD[1], kD[2])
    y = y + branch(".dil_conv_"..id, ".dil_bn_"..id, kD[1], kD[2])
  end
  return y
end
local function squeeze_excite(x, name)
  local z = gelu(linear(x:mean"h w", name..".proj.1", "c"))
  return x * sigmoid(linear(z, name..".proj.3", "c"))
end

-- kernels from the context: a soft choice among m x m taps, made of the affinities to 49 summaries
local function contmix(value, z, C, name)
  local K, S, G = config.kernel_size, config.smk_size, 2 * config.num_heads
  local near_z, context = z:slices("c", C, z.c - C)
  local q = conv_bn(near_z, name..".weight_query.0", name..".weight_query.1"):split("c = head d", { head = G })
  local k = conv_bn(pooled(context, 7, 7), name..".weight_key.1", name..".weight_key.2"):split("c = head d",
    { head = G })
  local affinity = contract(q, k, "d") * (C // G)^-0.5                          -- b head h w ph pw
  local W1, W2 = param(name..".weight_proj.weight", "o (ph=7 pw)"):slices("o", S * S, K * K)
  local b1, b2 = param(name..".weight_proj.bias", "o"):slices("o", S * S, K * K)
  local v1, v2 = value:split("c = half=2 head d", { head = G }):parts"half"
  local h, w = value:index"h", value:index"w"
  local function mix(m, W, bias, rpb, v)
    local near, taps = window{ h = "u="..m, w = "v="..m, border = "shift" }, split("o = u v", { u = m, v = m })
    W, bias, rpb = taps(W), taps(bias), param(name..rpb, "head y x")
    return attend{ q = affinity, k = W, v = near(v), over = "u v", dot = "ph pw",
      score = function(s) return s + bias + rpb{ y = near(h) - h + m - 1, x = near(w) - w + m - 1 } end }
  end
  return stack("half", { mix(S, W1, b1, ".rpb1", v1), mix(K, W2, b2, ".rpb2", v2) }):merge"c = half head d"
end

local function block(x, context, long, name)
  local C, Cc, H, W, K = x.c, context.c, x.h, x.w, config.kernel_size
  if not config.is_first then context = scale(context, name..".x_scale") + scale(long, name..".h_scale") end
  local id = res_dw(concat("c", { x, context }), name..".dwconv1")
  local z = layer_norm(id, name..".norm1", config.norm_eps)
  local f = gelu(batch_norm(dw(z, name..".fusion.0"), name..".fusion.1", config.bn_eps))
  f = grn(linear(f, name..".fusion.3", "c"), name..".fusion.4")
  local gate = silu(conv_bn(f, name..".gate.0", name..".gate.1"))
  local lepe = batch_norm(dilated_reparam(f, name..".lepe.0", K), name..".lepe.1", config.bn_eps)
  local y
  if math.min(H, W) >= K then y = contmix(f, z, C, name)
  -- a map smaller than the kernel is enlarged and pooled back
  else
    local size = ("h=%d w=%d"):format(H < W and K or K * H // W, H < W and K * W // H or K)
    y = pooled(contmix(resize(f, size), resize(z, size), C, name), H, W):as"ph=h pw=w"
  end
  y = conv_bn(y, name..".dyconv_proj.0", name..".dyconv_proj.1") + lepe
  y = batch_norm(gate * squeeze_excite(y, name..".se_layer"), name..".proj.0", config.bn_eps)
  z = res_dw((scale(id, name..".ls1") + linear(y, name..".proj.1", "c")), name..".dwconv2")
  local t = res_dw(gelu(linear(layer_norm(z, name..".norm2", config.norm_eps), name..".mlp.0", "c")), name..".mlp.2")
  return (scale(z, name..".ls2") + linear(grn(t, name..".mlp.3"), name..".mlp.4", "c"))
end

local x = input("x", "b c h w")
local y = block(x, input("h", "b c h w"), input("r", "b c h w"), "")
if config.is_last then output("output", y, "b c h w")
else output("output", y:slice{ c = {0, x.c} }, "b c h w") output("context", y:slice{ c = {x.c, y.c - x.c} },
  "b c h w") end
