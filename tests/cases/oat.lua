-- OAT: convolutional token embedding, post-norm decoder layer, object attention head
local function cnn(x)
  for i = 1, #config.kernels do
    x = relu(conv2d(x, ("cnn%d.0"):format(i), { pad = 0 }))
    x = max_pool(x, config.pools[i], config.pools[i])
  end
  return linear(x:merge"c = c h w", "fc", "c") end
-- x: t b c, memory: s b c; *_pad: 1 = not there
local function decoder_layer(x, memory, tgt_pad, mem_pad, name)
  local function ln(x, n) return layer_norm(x, name .. n, config.ln_eps) end
  local t, key = x:pair"t"
  local past = le(key, t) & eq(tgt_pad:as"t=t'", 0)
  x = ln(x + multi_head(x, x, x, name .. "self_attn.", config.nhead, "t", { only = past }), "norm1")
  x = ln(x + multi_head(x, memory, memory, name .. "multihead_attn.", config.nhead, "s", { only = eq(mem_pad, 0) }),
    "norm2")
  return ln(x + linear(relu(linear(x, name .. "linear1", "c")), name .. "linear2", "c"), "norm3") end
-- E: n b c, D: t b c; every head has the full width
local function object_head(E, D)
  local heads = {}
  for i = 1, config.CA_head do
    local n = ("cross_attentions.%d."):format(i - 1)
    heads[i] = contract(linear(D, n .. "decode_fc", "c"), linear(E, n .. "encode_fc", "c"), "c"):pad{ n = {0, 1},
      border = 0 } / config.CA_dk^0.5
  end
  return contract(stack("head", heads), param("readout.weight", "1 head"), "head") + param("readout.bias", "1") end
if config.pools then output("tokens", cnn(input("image", "b t h w c")), "b t c")
elseif config.CA_dk then output("logits", object_head(input("encoder_out", "n b c"), input("decoder_out", "t b c")),
  "t b n")
else output("y", decoder_layer(input("x", "t b c"), input("memory", "s b c"), input("tgt_padding", "b t"),
  input("memory_padding", "b s"), ""), "t b c") end
