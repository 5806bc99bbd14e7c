-- TAP-FAN: token-aware average pooling, attention over tokens, channel processing
local function tap(x, name)                                                              -- x: b c h w
  local scale = config.num_scales
  local z = conv2d(batch_norm(conv2d(x, name .. ".proj.0"), name .. ".proj.1", config.bn_eps), name .. ".proj.2")
  local g = softmax(z:as"c=scale", "scale")
  local y = g{ scale = 0 } * x
  -- zeros outside count: always divided by 9
  for i = 1, scale - 1 do
    y = y + g{ scale = i } * window{ h = "ky=3", w = "kx=3", dilation = i, border = 0 }(x):mean"ky kx" end
  return y
end
local function token_mixing(x, name)
  local head = ("head=%d d=%d"):format(config.num_heads, x.c // config.num_heads)
  local k, v = linear(x, name .. ".kv", "part=2 " .. head):parts"part"
  local o = attend{ q = linear(x, name .. ".q", head), k = k, v = v, over = "h w", dot = "d" }
  return linear(o:merge"c = head d", name .. ".proj", "c=" .. x.c)
end
local function lpi(x, name)
  x = gelu(conv2d(x, name .. ".conv1"))
  return conv2d(batch_norm(x, name .. ".bn", config.bn_eps), name .. ".conv2")
end
local function channel_processing(x, name, heads)
  local s = ("c = head=%d d"):format(heads)
  -- both softmaxes run over the tokens
  local q = softmax(linear(x, name .. "q", "c=" .. x.c), "h w"):split(s)
  local k = softmax(x, "h w"):split(s):mean"d"                                           -- b head h w
  local gate = sigmoid(contract(q, k, "h w")) * param(name .. "temperature", "head")     -- b head d
  local m = linear(x, name .. "mlp_v.fc1", "c=" .. 4 * x.c)
  m = linear((m + param(name .. "mlp_v.gamma", "c") * lpi(m, name .. "mlp_v.dwconv")), name .. "mlp_v.fc2", "c=" .. x.c)
  return gate:merge"c = head d" * layer_norm(m, name .. "norm_v", config.ln_eps)
end
local function block(x, name)
  x = x + param(name .. "gamma1", "c") * token_mixing(layer_norm(tap(x, name .. "dilation_predictor"), name .. "norm1",
    config.ln_eps), name .. "attn")
  x = x
  return x + param(name .. "gamma2", "c") * channel_processing(layer_norm(x, name .. "norm2", config.ln_eps),
    name .. "mlp.", config.num_heads)
end
local tokens = ("b (h=%d w=%d) c"):format(config.H, config.W)
if config.layout then output("y", tap(input("x", "b c h w"), "dilation_predictor"), "b c h w")
elseif config.eta then output("y", block(input("x", tokens), ""), "b c h w")
else output("y", channel_processing(input("x", tokens), "", param("temperature", "head").head), "b (h w) c") end
