-- Writes a grant, and forgets that one was ever deleted there.
-- KEYS: grant, deletion mark
-- ARGV: grant

redis.call('SET', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
return 1
