-- The clock of the programs beside this file, which begin with it: the server's, but it never goes back. When the server's
-- is put back, it goes on from where it was, so nothing that is due soon becomes due an hour later.
--
--   tick:clock:NAME  hash  wall: what the server's showed last; behind: by how much that has been put back, in all
--
-- Returns the instant in microseconds, and whether the server's clock has been put back since the last call. `reading`:
-- for an operation that writes nothing, and so is answered also by a Redis that takes no writes.
local function read_clock(name, reading)
  local key, time = 'tick:clock:' .. name, redis.call('TIME')
  local wall = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local kept = redis.call('HMGET', key, 'wall', 'behind')
  local last, behind = tonumber(kept[1]) or wall, tonumber(kept[2]) or 0
  local was_put_back = wall < last
  if was_put_back then behind = behind + last - wall end
  if not reading then
    redis.call('HSET', key, 'wall', string.format('%.0f', wall), 'behind', string.format('%.0f', behind))
  end
  return wall + behind, was_put_back
end

