-- Deletes a grant and the token that came from it, and remembers that. The record stays, its
-- generations go on; whoever asks for a token at this moment is overtaken.
-- KEYS: grant, deletion mark, record, lease
-- ARGV: time, 1 = also where there is no grant
-- Returns whether there was something to delete.

if redis.call('GET', KEYS[2]) == ARGV[1] then
	return 1 -- the caller asks once more: the answer was lost
end
if redis.call('EXISTS', KEYS[1]) == 0 and ARGV[2] ~= '1' then
	return 0
end
redis.call('DEL', KEYS[1], KEYS[4])
redis.call('SET', KEYS[2], ARGV[1])
local stored = redis.call('HMGET', KEYS[3], 'highest', 'generation')
if stored[1] or stored[2] then
	local highest = math.max(tonumber(stored[1]) or 0, tonumber(stored[2]) or 0)
	redis.call('HSET', KEYS[3], 'overtaken', string.format('%.0f', highest), 'token', '', 'mark', '', 'digest', '', 'with', '')
end
return 1
