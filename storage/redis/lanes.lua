-- Keeps the table of lanes. Every change to it is one of the operations below, and Redis runs each of them alone, so
-- nothing else changes it meanwhile. ARGV[1] names the operation, ARGV[2] the process that asks. The only clock is the
-- server's own (clock.lua).
--
--   tick:due           sorted set   lane -> the instant it is due; none of them is held
--   tick:owner         hash         held lane -> "process|claim|phase", the phase being round, waiting or delivery
--   tick:held:PROCESS  set          the lanes it holds, the other way round
--   tick:again         sorted set   held lane that was rung meanwhile -> the earliest instant asked for
--   tick:orphan        hash         lane taken from a dead process -> the phase it was in
--   tick:owners        set          processes that may hold lanes
--   tick:alive:PROCESS string       lives ALIVE_MS, renewed by each beat
--   tick:pulse         hash         last: the newest beat of anyone; since: since when there was no gap between beats
--   tick:wake          list         one token while something is due, none otherwise
--   tick:conv:LANE     string       "version body": the working copy of the conversation
--   tick:check         string       what `check` writes
--
-- Identifiers have 63 bits and never become Lua numbers, which hold 53. What there is of each lane comes in one argument,
-- separated by spaces: packing a thousand of them costs the caller more than all the work here. Written for Redis 6.2.

local DUE, OWNER, AGAIN, ORPHAN = 'tick:due', 'tick:owner', 'tick:again', 'tick:orphan'
local OWNERS, WAKE, PULSE = 'tick:owners', 'tick:wake', 'tick:pulse'
local ALIVE_MS = 1200
-- Beats come each 400 ms. When nobody's came for GAP_MS, Redis itself was away, and who is silent is given SETTLE_MS
-- to speak up before it counts as dead.
local GAP_MS, SETTLE_MS = 1000, 1000
-- A lane due within this time wakes a worker at once: it then knows how long to wait.
local SOON_MS = 1000
-- A lane that has been due for no longer than FRESH_MS is fresh. As long as none has been due for BACKLOG_MS, those who
-- come first are served first.
local FRESH_MS, BACKLOG_MS = 60000, 1000

local operation, process = ARGV[1], ARGV[2]
local held = 'tick:held:' .. process
local instant, was_put_back = read_clock('lanes', operation == 'owners')
local now = math.floor(instant / 1000)
-- Who is alive is told by keys that live for a while by the server's clock, so it takes a beat of each to know again.
if was_put_back and operation ~= 'owners' then redis.call('HSET', PULSE, 'since', now) end

local function wake()
  if redis.call('EXISTS', WAKE) == 0 then redis.call('RPUSH', WAKE, '1') end
end

local function prove_alive()
  redis.call('SADD', OWNERS, process)
  redis.call('SET', 'tick:alive:' .. process, '1', 'PX', ALIVE_MS)
end

-- Whether a process is alive. A key that lives for longer than each beat gives it is from before the clock was put back.
local function is_alive(other)
  local left = redis.call('PTTL', 'tick:alive:' .. other)
  return left ~= -2 and left <= ALIVE_MS
end

local function begins(text, with)
  return text and string.sub(text, 1, #with) == with
end

local function words(text)
  local list = {}
  for word in string.gmatch(text or '', '%S+') do list[#list + 1] = word end
  return list
end

local function prefixed(prefix, list)
  local keys = {}
  for i, word in ipairs(list) do keys[i] = prefix .. word end
  return keys
end

-- Ends holds. Lane i is due again at times[i] (false: not by itself), or when it was rung for meanwhile, if earlier.
local function give_back(lanes, times)
  if #lanes == 0 then return end
  redis.call('HDEL', OWNER, unpack(lanes))
  local rung = {}
  if redis.call('EXISTS', AGAIN) == 1 then
    rung = redis.call('ZMSCORE', AGAIN, unpack(lanes))
    redis.call('ZREM', AGAIN, unpack(lanes))
  end
  local due, soon = {}, false
  for i, lane in ipairs(lanes) do
    local at, instead = times[i], tonumber(rung[i])
    if instead and (not at or instead < at) then at = instead end
    if at then
      due[#due + 1], due[#due + 2] = at, lane
      soon = soon or at < now + SOON_MS
    end
  end
  if #due > 0 then redis.call('ZADD', DUE, 'LT', unpack(due)) end
  if soon then wake() end
end

-- Those of the lanes that this process holds, under that claim if one is given.
local function still_held(lanes, claims)
  local holds = redis.call('HMGET', OWNER, unpack(lanes))
  local ours = {}
  for i = 1, #lanes do ours[i] = begins(holds[i], process .. '|' .. (claims and claims[i] .. '|' or '')) end
  return ours, holds
end

-- Calls `work` with no more lanes at a time than fit on Lua's stack.
local function in_parts(lanes, work)
  for first = 1, #lanes, 1000 do
    local part = {}
    for i = first, math.min(first + 999, #lanes) do part[#part + 1] = lanes[i] end
    work(part)
  end
end

-- Takes everything from a process that is gone.
local function reap(gone)
  local lanes = redis.call('SMEMBERS', 'tick:held:' .. gone)
  in_parts(lanes, function(part)
    local holds, taken, times = redis.call('HMGET', OWNER, unpack(part)), {}, {}
    for i, lane in ipairs(part) do
      if begins(holds[i], gone .. '|') then
        redis.call('HSET', ORPHAN, lane, string.match(holds[i], '[^|]*$'))
        taken[#taken + 1], times[#times + 1] = lane, now
      end
    end
    give_back(taken, times)
  end)
  redis.call('DEL', 'tick:held:' .. gone)
  redis.call('SREM', OWNERS, gone)
  return #lanes
end

local function settled()
  if was_put_back then return false end
  local pulse = redis.call('HMGET', PULSE, 'last', 'since')
  local last, since = tonumber(pulse[1]), tonumber(pulse[2])
  return last and since and now - last <= GAP_MS and now - since >= SETTLE_MS
end

-- "lane claim ...": the phase of those that are still held under that claim.
local function go_on(text, phase)
  local lanes, claims = {}, {}
  for lane, claim in string.gmatch(text, '(%d+) (%d+)') do
    lanes[#lanes + 1], claims[#claims + 1] = lane, claim
  end
  if #lanes == 0 then return end
  local ours, phases = still_held(lanes, claims), {}
  for i, lane in ipairs(lanes) do
    if ours[i] then
      phases[#phases + 1] = lane
      phases[#phases + 1] = process .. '|' .. claims[i] .. '|' .. phase
    end
  end
  if #phases > 0 then redis.call('HSET', OWNER, unpack(phases)) end
end

local operations = {}

-- "lane delay-in-ms ...", "lane ..." whose working copy is wrong. A delay below zero: it has waited for so long already.
function operations.ring()
  local lanes, delays = {}, {}
  for lane, delay in string.gmatch(ARGV[3], '(%d+) (%S+)') do
    lanes[#lanes + 1], delays[#delays + 1] = lane, delay
  end
  if #lanes > 0 then
    local holds = redis.call('HMGET', OWNER, unpack(lanes))
    local due, again, soon, at_once = {}, {}, false, string.format('%.0f', now)
    for i, lane in ipairs(lanes) do
      local list = holds[i] and again or due
      list[#list + 1] = delays[i] == '0' and at_once or now + tonumber(delays[i])
      list[#list + 1] = lane
      soon = soon or not holds[i] and tonumber(delays[i]) < SOON_MS
    end
    if #due > 0 then redis.call('ZADD', DUE, 'LT', unpack(due)) end
    if #again > 0 then redis.call('ZADD', AGAIN, 'LT', unpack(again)) end
    if soon then wake() end
  end
  local wrong = words(ARGV[4])
  if #wrong > 0 then redis.call('DEL', unpack(prefixed('tick:conv:', wrong))) end
end

-- Takes as many of the due lanes as the limit allows. When there is a backlog, one half of the places is for fresh lanes,
-- the newest first, so that nobody who writes now is behind those who wrote an hour ago; the other half, and what the
-- fresh leave, is for the oldest. The odd place goes to one of them with each odd claim, and to the other with each even.
local function take_due(claim, limit)
  local fresh, share = {}, math.floor((limit + claim % 2) / 2)
  local is_backlog = redis.call('ZCOUNT', DUE, '-inf', now - BACKLOG_MS) > 0
  if is_backlog and share > 0 and redis.call('ZCOUNT', DUE, '-inf', now) > limit then
    fresh = redis.call('ZREVRANGEBYSCORE', DUE, now, string.format('(%.0f', now - FRESH_MS), 'LIMIT', 0, share)
    if #fresh > 0 then redis.call('ZREM', DUE, unpack(fresh)) end
  end
  local oldest = redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, limit - #fresh)
  if #oldest > 0 then redis.call('ZREM', DUE, unpack(oldest)) end
  for _, lane in ipairs(oldest) do fresh[#fresh + 1] = lane end
  return fresh
end

-- claim number, limit -> ms until the next lane is due or '', then lane, working copy, orphan's phase for each
function operations.claim()
  prove_alive()
  local lanes = take_due(tonumber(ARGV[3]), tonumber(ARGV[4]))
  local answer = {''}
  if #lanes > 0 then
    redis.call('SADD', held, unpack(lanes))
    local hold, holds = process .. '|' .. ARGV[3] .. '|round', {}
    for i, lane in ipairs(lanes) do
      holds[2 * i - 1], holds[2 * i] = lane, hold
    end
    redis.call('HSET', OWNER, unpack(holds))
    local orphans = {}
    if redis.call('EXISTS', ORPHAN) == 1 then
      orphans = redis.call('HMGET', ORPHAN, unpack(lanes))
      redis.call('HDEL', ORPHAN, unpack(lanes))
    end
    local copies = redis.call('MGET', unpack(prefixed('tick:conv:', lanes)))
    for i, lane in ipairs(lanes) do
      answer[3 * i - 1], answer[3 * i], answer[3 * i + 1] = lane, copies[i] or '', orphans[i] or ''
    end
  end
  local head = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
  local rest = head[2] and math.max(0, tonumber(head[2]) - now)
  if rest then answer[1] = string.format('%.0f', rest) end
  if rest == 0 then wake() else redis.call('DEL', WAKE) end
  return answer
end

-- ms to live, "lane claim ..." that go on to the delivery, "lane version ..." with '!' after a version that overwrites,
-- then the working copy of each of the latter
function operations.put()
  go_on(ARGV[4], 'delivery')
  local keys, versions = {}, {}
  for lane, version in string.gmatch(ARGV[5], '(%d+) (%S+)') do
    keys[#keys + 1], versions[#versions + 1] = 'tick:conv:' .. lane, version
  end
  local there = #keys > 0 and redis.call('MGET', unpack(keys))
  for i, key in ipairs(keys) do
    local old, new = tonumber(there[i] and string.match(there[i], '^%d+')), tonumber(versions[i])
    if not new or not old or old < new then redis.call('SET', key, ARGV[5 + i], 'PX', ARGV[3]) end
  end
end

-- "lane claim ...", phase
function operations.mark()
  go_on(ARGV[3], ARGV[4])
end

-- "lane claim delay-in-ms-or-none ..." -> how many were still held under that claim
function operations.release()
  local lanes, claims, delays = {}, {}, {}
  for lane, claim, delay in string.gmatch(ARGV[3], '(%d+) (%d+) (%S+)') do
    lanes[#lanes + 1], claims[#claims + 1], delays[#delays + 1] = lane, claim, delay
  end
  local ours, ended, times = still_held(lanes, claims), {}, {}
  for i, lane in ipairs(lanes) do
    if ours[i] then
      local delay = tonumber(delays[i])
      ended[#ended + 1], times[#times + 1] = lane, delay and now + delay or false
    end
  end
  if #ended > 0 then
    redis.call('SREM', held, unpack(ended))
    give_back(ended, times)
  end
  return #ended
end

-- the newest claim whose answer the process has seen, "lane ..." it knows it holds -> how many lanes were reaped.
-- What else it holds is given back: the answer to a claim was lost, or a release was, or Redis came back with an older
-- state.
function operations.beat()
  prove_alive()
  local seen, known, unknown = tonumber(ARGV[3]), {}, {}
  for _, lane in ipairs(words(ARGV[4])) do known[lane] = true end
  for _, lane in ipairs(redis.call('SMEMBERS', held)) do
    if not known[lane] then unknown[#unknown + 1] = lane end
  end
  in_parts(unknown, function(part)
    local ours, holds = still_held(part)
    local dropped, ended, times = {}, {}, {}
    for i, lane in ipairs(part) do
      if not ours[i] or tonumber(string.match(holds[i], '|(%d+)|')) <= seen then dropped[#dropped + 1] = lane end
      if ours[i] and dropped[#dropped] == lane then ended[#ended + 1], times[#times + 1] = lane, now end
    end
    if #dropped > 0 then redis.call('SREM', held, unpack(dropped)) end
    give_back(ended, times)
  end)
  local last = tonumber(redis.call('HGET', PULSE, 'last'))
  if not last or now < last or now - last > GAP_MS then redis.call('HSET', PULSE, 'since', now) end
  redis.call('HSET', PULSE, 'last', now)
  local reaped = 0
  if settled() then
    for _, other in ipairs(redis.call('SMEMBERS', OWNERS)) do
      if not is_alive(other) then reaped = reaped + reap(other) end
    end
  end
  if redis.call('ZCOUNT', DUE, '-inf', now) > 0 then wake() end
  return reaped
end

function operations.retire()
  in_parts(redis.call('SMEMBERS', held), function(part)
    local ours, ended, times = still_held(part), {}, {}
    for i, lane in ipairs(part) do
      if ours[i] then ended[#ended + 1], times[#times + 1] = lane, now end
    end
    give_back(ended, times)
  end)
  redis.call('DEL', held, 'tick:alive:' .. process)
  redis.call('SREM', OWNERS, process)
end

-- where to go on, "0" at first -> where to go on, "0" at the end, then lane and version of working copies
function operations.copies()
  local found = redis.call('SCAN', ARGV[3], 'MATCH', 'tick:conv:*', 'COUNT', 1000)
  local answer = {found[1]}
  for _, key in ipairs(found[2]) do
    answer[#answer + 1] = string.sub(key, #'tick:conv:' + 1)
    answer[#answer + 1] = string.match(redis.call('GETRANGE', key, 0, 19), '^%d+') or ''
  end
  return answer
end

-- where to go on, "0" at first -> where to go on, "0" at the end. Working copies are dropped.
function operations.forget()
  local found = redis.call('SCAN', ARGV[3], 'MATCH', 'tick:conv:*', 'COUNT', 1000)
  if #found[2] > 0 then redis.call('UNLINK', unpack(found[2])) end
  return found[1]
end

-- Nothing but a write, which shows whether Redis takes any.
function operations.check()
  redis.call('SET', 'tick:check', '1', 'PX', ALIVE_MS)
end

-- -> '1' when the answer can be relied on, then the living
function operations.owners()
  local answer = {settled() and '1' or '0'}
  for _, other in ipairs(redis.call('SMEMBERS', OWNERS)) do
    if is_alive(other) then answer[#answer + 1] = other end
  end
  return answer
end

return operations[operation]()
