-- The table of lanes. Every change to it is one of the operations below, and each of them runs alone: there is no other
-- owner. ARGV[1] names the operation, ARGV[2] the process that asks. The only clock is the server's own.
--
--   tick:due           sorted set   lane -> the instant it is due; none of them is held
--   tick:owner         hash         held lane -> "process|claim|phase", the phase being round or delivery
--   tick:held:PROCESS  set          the lanes it holds, the other way round
--   tick:again         sorted set   held lane that was rung meanwhile -> the earliest instant asked for
--   tick:orphan        hash         lane taken from a dead process -> the phase it was in
--   tick:owners        set          processes that may hold lanes
--   tick:alive:PROCESS string       lives ALIVE_MS, renewed by each beat
--   tick:pulse         hash         last: the newest beat of anyone; since: since when there was no gap between beats
--   tick:wake          list         one token while something is due, none otherwise
--   tick:conv:LANE     hash         v, body: the working copy of the conversation
--
-- Identifiers have 63 bits and never become Lua numbers, which hold 53. Written for Redis 6.2.

local DUE, OWNER, AGAIN, ORPHAN = 'tick:due', 'tick:owner', 'tick:again', 'tick:orphan'
local OWNERS, WAKE, PULSE = 'tick:owners', 'tick:wake', 'tick:pulse'
local ALIVE_MS = 1500
-- Beats come each half second. When nobody's came for GAP_MS, Redis itself was away, and who is silent is given SETTLE_MS
-- to speak up before it counts as dead.
local GAP_MS, SETTLE_MS = 1000, 1000
-- A lane due within this time wakes a worker at once: it then knows how long to wait.
local SOON_MS = 1000

local operation, process = ARGV[1], ARGV[2]
local held = 'tick:held:' .. process
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local function wake()
  if redis.call('EXISTS', WAKE) == 0 then redis.call('RPUSH', WAKE, '1') end
end

local function prove_alive()
  redis.call('SADD', OWNERS, process)
  redis.call('SET', 'tick:alive:' .. process, '1', 'PX', ALIVE_MS)
end

-- Ends a hold. The lane is due again at `at`, or when it was rung for meanwhile, whichever is earlier; else not at all.
local function give_back(lane, at)
  redis.call('HDEL', OWNER, lane)
  local rung = tonumber(redis.call('ZSCORE', AGAIN, lane))
  if rung then
    redis.call('ZREM', AGAIN, lane)
    if not at or rung < at then at = rung end
  end
  if at then
    redis.call('ZADD', DUE, 'LT', at, lane)
    if at < now + SOON_MS then wake() end
  end
end

local function begins(text, with)
  return text and string.sub(text, 1, #with) == with
end

-- Takes everything from a process that is gone.
local function reap(gone)
  local lanes = redis.call('SMEMBERS', 'tick:held:' .. gone)
  for _, lane in ipairs(lanes) do
    local hold = redis.call('HGET', OWNER, lane)
    if begins(hold, gone .. '|') then
      redis.call('HSET', ORPHAN, lane, string.match(hold, '[^|]*$'))
      give_back(lane, now)
    end
  end
  redis.call('DEL', 'tick:held:' .. gone)
  redis.call('SREM', OWNERS, gone)
  return #lanes
end

local function settled()
  local last = tonumber(redis.call('HGET', PULSE, 'last'))
  local since = tonumber(redis.call('HGET', PULSE, 'since'))
  return last and since and now - last <= GAP_MS and now - since >= SETTLE_MS
end

local operations = {}

-- count, then count pairs (lane, delay in ms), then the lanes whose working copy is wrong
function operations.ring()
  local count = tonumber(ARGV[3])
  local lanes = {}
  for i = 1, count do lanes[i] = ARGV[2 + 2 * i] end
  local holds = count > 0 and redis.call('HMGET', OWNER, unpack(lanes)) or {}
  local due, again, soon = {}, {}, false
  for i, lane in ipairs(lanes) do
    local delay = tonumber(ARGV[3 + 2 * i])
    local list = holds[i] and again or due
    list[#list + 1] = now + delay
    list[#list + 1] = lane
    if not holds[i] and delay < SOON_MS then soon = true end
  end
  if #due > 0 then redis.call('ZADD', DUE, 'LT', unpack(due)) end
  if #again > 0 then redis.call('ZADD', AGAIN, 'LT', unpack(again)) end
  for i = 4 + 2 * count, #ARGV do redis.call('DEL', 'tick:conv:' .. ARGV[i]) end
  if soon then wake() end
  return count
end

-- claim number, limit -> ms until the next lane is due or '', then (lane, version, body, orphan's phase) for each
function operations.claim()
  prove_alive()
  local lanes = redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, ARGV[4])
  local answer = {''}
  if #lanes > 0 then
    redis.call('ZREM', DUE, unpack(lanes))
    redis.call('SADD', held, unpack(lanes))
    local hold, holds = process .. '|' .. ARGV[3] .. '|round', {}
    for _, lane in ipairs(lanes) do
      holds[#holds + 1] = lane
      holds[#holds + 1] = hold
    end
    redis.call('HSET', OWNER, unpack(holds))
    local orphans = {}
    if redis.call('EXISTS', ORPHAN) == 1 then
      orphans = redis.call('HMGET', ORPHAN, unpack(lanes))
      redis.call('HDEL', ORPHAN, unpack(lanes))
    end
    for i, lane in ipairs(lanes) do
      local copy = redis.call('HMGET', 'tick:conv:' .. lane, 'v', 'body')
      local at = 4 * i - 2
      answer[at], answer[at + 1], answer[at + 2], answer[at + 3] = lane, copy[1] or '', copy[2] or '', orphans[i] or ''
    end
  end
  local head = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
  local rest = head[2] and math.max(0, tonumber(head[2]) - now)
  if rest then answer[1] = string.format('%.0f', rest) end
  if rest == 0 then wake() else redis.call('DEL', WAKE) end
  return answer
end

-- ms to live, then (lane, claim or 0, version or '' for none, '1' to overwrite, body) for each
function operations.put()
  for i = 4, #ARGV, 5 do
    local lane, claim, version = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    if version ~= '' then
      local copy = 'tick:conv:' .. lane
      local there = tonumber(redis.call('HGET', copy, 'v'))
      if not there or there < tonumber(version) or ARGV[i + 3] == '1' then
        redis.call('HSET', copy, 'v', version, 'body', ARGV[i + 4])
        redis.call('PEXPIRE', copy, ARGV[3])
      end
    end
    if claim ~= '0' then
      local hold = process .. '|' .. claim .. '|'
      if begins(redis.call('HGET', OWNER, lane), hold) then redis.call('HSET', OWNER, lane, hold .. 'delivery') end
    end
  end
  return 1
end

-- (lane, claim, delay in ms or '') for each -> how many were still held under that claim
function operations.release()
  local released = 0
  for i = 3, #ARGV, 3 do
    local lane, delay = ARGV[i], tonumber(ARGV[i + 2])
    if begins(redis.call('HGET', OWNER, lane), process .. '|' .. ARGV[i + 1] .. '|') then
      redis.call('SREM', held, lane)
      give_back(lane, delay and now + delay)
      released = released + 1
    end
  end
  return released
end

-- the newest claim whose answer the process has seen, then the lanes it knows it holds -> how many lanes were reaped.
-- What else it holds is given back: the answer to a claim was lost, or a release was, or Redis came back with an older
-- state.
function operations.beat()
  prove_alive()
  local seen, known = tonumber(ARGV[3]), {}
  for i = 4, #ARGV do known[ARGV[i]] = true end
  for _, lane in ipairs(redis.call('SMEMBERS', held)) do
    if not known[lane] then
      local hold = redis.call('HGET', OWNER, lane)
      local claim = begins(hold, process .. '|') and tonumber(string.match(hold, '|(%d+)|'))
      if not claim then
        redis.call('SREM', held, lane)
      elseif claim <= seen then
        redis.call('SREM', held, lane)
        give_back(lane, now)
      end
    end
  end
  local last = tonumber(redis.call('HGET', PULSE, 'last'))
  if not last or now < last or now - last > GAP_MS then redis.call('HSET', PULSE, 'since', now) end
  redis.call('HSET', PULSE, 'last', now)
  local reaped = 0
  if settled() then
    for _, other in ipairs(redis.call('SMEMBERS', OWNERS)) do
      if redis.call('EXISTS', 'tick:alive:' .. other) == 0 then reaped = reaped + reap(other) end
    end
  end
  if redis.call('ZCOUNT', DUE, '-inf', now) > 0 then wake() end
  return reaped
end

function operations.retire()
  for _, lane in ipairs(redis.call('SMEMBERS', held)) do
    if begins(redis.call('HGET', OWNER, lane), process .. '|') then give_back(lane, now) end
  end
  redis.call('DEL', held, 'tick:alive:' .. process)
  redis.call('SREM', OWNERS, process)
  return 1
end

-- -> '1' when the answer can be relied on, then the living
function operations.owners()
  local answer = {settled() and '1' or '0'}
  for _, other in ipairs(redis.call('SMEMBERS', OWNERS)) do
    if redis.call('EXISTS', 'tick:alive:' .. other) == 1 then answer[#answer + 1] = other end
  end
  return answer
end

return operations[operation]()
