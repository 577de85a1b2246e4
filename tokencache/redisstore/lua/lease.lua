-- Gives the right to ask for a token to one process, with a generation of its own.
-- KEYS: lease, record
-- ARGV: id, life in milliseconds, highest generation that the caller knows, life of the record
-- Returns 0 and how long another lease lasts, or 1 and the generation.

local left = redis.call('PTTL', KEYS[1])
-- Without an end it would be none of ours. The caller's own is asked for once more: the answer was lost.
if left >= 0 and redis.pcall('GET', KEYS[1]) ~= ARGV[1] then
	return {0, left}
end
local stored = redis.call('HMGET', KEYS[2], 'highest', 'generation')
local generation = math.max(tonumber(stored[1]) or 0, tonumber(stored[2]) or 0, tonumber(ARGV[3])) + 1
redis.call('HSET', KEYS[2], 'highest', string.format('%.0f', generation))
redis.call('PEXPIRE', KEYS[2], ARGV[4])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {1, generation}
