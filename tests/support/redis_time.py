"""Puts time forward for what Tick keeps in Redis, by making it older: nobody waits for Redis' own clock."""

from typing import Any

# The limits count in microseconds, the lanes in milliseconds. Whose process is alive is none of it: that is real time.
OLDER = """
local by = tonumber(ARGV[1])
local function older(instant) return string.format('%.0f', tonumber(instant) - by) end
for _, kept in ipairs({'granted', 'waiting', 'fresh', 'turns', 'expected', 'rate', 'pair'}) do
  for _, key in ipairs(redis.call('KEYS', 'tick:' .. kept .. ':*')) do
    local left, kind = redis.call('PTTL', key) - by / 1000, redis.call('TYPE', key).ok
    if left <= 0 then
      redis.call('DEL', key)
    else
      if kind == 'string' and kept ~= 'turns' then redis.call('SET', key, older(redis.call('GET', key))) end
      if kind == 'hash' then redis.call('HINCRBY', key, 'at', older(0)) end
      if kind == 'list' then
        for i, instant in ipairs(redis.call('LRANGE', key, 0, -1)) do redis.call('LSET', key, i - 1, older(instant)) end
      end
      if kind == 'zset' then
        for _, name in ipairs(redis.call('ZRANGE', key, 0, -1)) do redis.call('ZINCRBY', key, older(0), name) end
      end
      redis.call('PEXPIRE', key, math.ceil(left))
    end
  end
end
by = by / 1000
for _, key in ipairs({'tick:due', 'tick:again'}) do
  for _, lane in ipairs(redis.call('ZRANGE', key, 0, -1)) do redis.call('ZINCRBY', key, older(0), lane) end
end
if redis.call('EXISTS', 'tick:due') == 1 and redis.call('EXISTS', 'tick:wake') == 0 then
  redis.call('RPUSH', 'tick:wake', '1')
end
"""

# As if all that Redis keeps were from a time when its clock showed so much more.
PUT_BACK = """
local by = tonumber(ARGV[1])
for _, key in ipairs(redis.call('KEYS', 'tick:clock:*')) do redis.call('HINCRBY', key, 'wall', ARGV[1]) end
if redis.call('EXISTS', 'tick:pulse') == 1 then
  for _, field in ipairs({'last', 'since'}) do redis.call('HINCRBY', 'tick:pulse', field, by / 1000) end
end
for _, key in ipairs(redis.call('KEYS', 'tick:alive:*')) do
  redis.call('PEXPIRE', key, redis.call('PTTL', key) + by / 1000)
end
"""


async def put_clock_back(redis: Any, seconds: float) -> None:
    """Puts the clock of the Redis back by so many seconds, as far as the limits and the lanes can tell."""
    await redis.eval(PUT_BACK, 0, round(seconds * 1_000_000))
    await pass_time(redis, -seconds)


async def pass_time(redis: Any, seconds: float) -> None:
    """Makes everything that the limits and the lanes keep older by so many seconds."""
    await redis.eval(OLDER, 0, round(seconds * 1_000_000))
