-- Carries out one commit: all of its changes, or none.
--
-- KEYS: one for each change. ARGV: the channel of wake-ups, then six for each change:
--   the generation that must be there ('' for no record); what to do (put, delete, keep);
--   and for a put: the new generation, the value, its life in milliseconds, whom to wake ('' for nobody).
-- Returns 1 when everything was carried out, 0 when something was not as expected.

local function change(i)
  return unpack(ARGV, (i - 1) * 6 + 2, i * 6 + 1)
end

for i, key in ipairs(KEYS) do
  local expected = change(i)
  if (redis.call('HGET', key, 'g') or '') ~= expected then
    return 0
  end
end

-- Puts before deletes: a Redis without memory refuses the first write that needs some, and no later one, so that a
-- refusal leaves everything as it was.
for i, key in ipairs(KEYS) do
  local _, action, generation, value, ttl = change(i)
  if action == 'put' then
    redis.call('HSET', key, 'g', generation, 'v', value)
    redis.call('PEXPIRE', key, ttl)
  end
end

for i, key in ipairs(KEYS) do
  local _, action, _, _, _, wake = change(i)
  if action == 'delete' then
    redis.call('DEL', key)
  end
  if wake ~= '' then
    redis.call('PUBLISH', ARGV[1], wake)
  end
end

return 1
