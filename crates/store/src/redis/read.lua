-- Reads several records at one instant. A transaction would do the same, but a Redis without memory refuses to queue one.
--
-- KEYS: one for each record. Returns for each its generation and its value, or two nils.

local records = {}
for i, key in ipairs(KEYS) do
  records[i] = redis.call('HMGET', key, 'g', 'v')
end
return records
