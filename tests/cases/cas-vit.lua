-- CAS-ViT: additive token mixer (spatial gate, then channel gate, on q and on k; no attention matrix) and its block
local function bn(x, name) return batch_norm(x, name, 1e-5) end

local function gates(z, name)
  local s = relu(bn(conv2d(z, name .. ".0.block.0"), name .. ".0.block.1"))
  z = (z * sigmoid(linear(s, name .. ".0.block.3", "1")))    -- one map for all channels
  return z * sigmoid(linear(z:mean"h w", name .. ".1.block.1", "c"))
end

local function mixer(x, name)
  local q, k, v = linear(x, name .. ".qkv", "part=3 c"):parts"part"
  local y = conv2d((gates(q, name .. ".oper_q") + gates(k, name .. ".oper_k")), name .. ".dwc")
  return conv2d((y * v), name .. ".proj")
end

local function block(x, name)
  local n = name .. ".local_perception.network."
  local y = bn(linear(x, n .. "0", "c"), n .. "1")
  x = (x + linear(gelu(conv2d(y, n .. "2")), n .. "4", "c"))
  x = (x + mixer(bn(x, name .. ".norm1"), name .. ".attn"))
  return x + linear(gelu(linear(bn(x, name .. ".norm2"), name .. ".mlp.fc1", "c")), name .. ".mlp.fc2", "c")
end

local x = input("input", "b c h w")
output("output", config.mlp_ratio and block(x, "") or mixer(x, ""), "b c h w")
