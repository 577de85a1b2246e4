-- Writes a record, unless a newer one is there.
-- KEYS: record
-- ARGV: generation, fingerprint, mark of the token ("" without one), digest of what others
--       want to know, record, sealed token ("" without one), life in milliseconds
-- Returns 0 = outdated, 1 = written, 2 = written and news to others.

local stored = redis.call('HMGET', KEYS[1], 'generation', 'fingerprint', 'mark', 'highest', 'overtaken', 'digest',
	'token', 'record', 'with')
local generation = tonumber(ARGV[1])
local before, highest, overtaken = tonumber(stored[1]), tonumber(stored[4]) or 0, tonumber(stored[5]) or 0
local mark = stored[3] or ''

if before and generation < before then
	return 0
end
if ARGV[3] ~= '' and generation > 0 and generation <= overtaken then
	return 0 -- the grant was deleted meanwhile
end
if generation == before and ARGV[3] ~= '' and mark ~= '' and mark ~= ARGV[3] and stored[2] == ARGV[2] then
	return 0 -- another token of the same generation and grant
end

if generation == before and ARGV[6] == '' and stored[2] == ARGV[2] and (stored[7] or '') ~= '' and stored[8] then
	-- The caller does not open the token. It stays, with the record that it came with.
	local with = (stored[9] or '') ~= '' and stored[9] or stored[8]
	redis.call('HSET', KEYS[1], 'digest', ARGV[4], 'record', ARGV[5], 'with', with)
else
	redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'fingerprint', ARGV[2], 'mark', ARGV[3], 'digest', ARGV[4],
		'record', ARGV[5], 'token', ARGV[6], 'with', '')
end
if generation > highest then
	redis.call('HSET', KEYS[1], 'highest', ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[7])
if stored[6] == ARGV[4] then
	return 1
end
return 2
