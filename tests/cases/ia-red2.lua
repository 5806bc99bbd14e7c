-- IA-RED2: before each group of blocks an interpreter scores the tokens; the group works on those kept.    x: b n c
local function interpreter(x, name, heads)                     -- b n: mean over heads of sigmoid(q_CLS . k_j)
  local y = layer_norm(x, nil, config.agent_norm_eps)
  local q, k = linear(y, name.."qk", ("part=3 head=%d d"):format(heads)):parts"part"         -- the third part is dead
  return sigmoid(contract(q{ n = 0 }, k, "d") * q.d^-0.5):mean"head"
end

local function block(x, name, heads, keep)                     -- kept queries look at kept keys
  local q, k, v = linear(layer_norm(x, name.."norm1", config.norm_eps), name.."attn.qkv",
    ("part=3 head=%d d"):format(heads)):parts"part"
  local o = attend{ q = q, k = k, v = v, over = "n", dot = "d", only = keep & keep:as"n=n'" }
  x = (x + linear(o:merge"c = head d", name.."attn.proj", "c"))
  local y = gelu(linear(layer_norm(x, name.."norm2", config.norm_eps), name.."mlp.fc1", "c"))
  return (x + linear(y, name.."mlp.fc2", "c"))
end

local function group(x, name, policy)                          -- policy: b n, 0 or 1, or nil
  if policy then x = (x * policy) end
  local score = interpreter(x, name.."agent.", config.agent_num_heads)
  if policy then score = score * policy end
  score = score
  local keep = (lt(config.threshold, score) | eq(score:index"n", 0))
  x = (x * keep)
  for i = 0, config.blocks_in_group - 1 do x = block(x, name..("block_list.%d."):format(i), config.num_heads, keep) end
  return x * keep, score, keep
end

local x = input("input", "b n c")
local y, score, keep = group(x, "", has_input("prev_policy") and input("prev_policy", "b n"))
output("output", y, "b n c")
output("score", score, "b n")
output("policy", keep, "b n")
