-- DependencyViT, reversed attention: sender i spreads its message over the receivers j; softmax over j, sum over i.
-- x: b n c
local function reversed(x, name, heads, m)                     -- m: b n, the product of the controllers so far, or nil
  local q, k, v = linear(x, name.."qkv", ("part=3 head=%d d"):format(heads)):parts"part"
  local p = softmax(linear(x, name.."head_selector", "head") / config.head_selector_temperature, "head")
  local h = gelu(linear(x, name.."message_controller.fc1", "c"))
  local mu = sigmoid(linear(h, name.."message_controller.fc2", ""))
  m = (m and m * mu or mu)
  local o = attend{ q = k, k = q, v = (v * p * m), over = "n", dot = "d", normalise = { softmax = "n" } }
  return linear(o:merge"c = head d", name.."proj", "c"), m
end
local y, m = reversed(input("input", "b n c"), "", config.num_heads, has_input("m") and input("m", "b n"))
output("output", y, "b n c")
output("m_out", m, "b n")
