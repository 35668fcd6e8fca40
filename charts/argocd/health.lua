-- Health of every kind of cadre.dev for Argo CD, read from the conditions alone. What waits for a person's
-- consent is Suspended: the sync has done its part, and nothing is broken.
local paused = { AwaitingApproval = true, Suspended = true, Frozen = true }
local moving = { Starting = true, Draining = true, GuardNotReady = true }

local function answer(status, message)
  return { status = status, message = message or "" }
end

if obj.metadata.deletionTimestamp ~= nil then
  return answer("Progressing", "being deleted")
end
local status = obj.status
if status == nil or status.conditions == nil then
  return answer("Progressing", "the operator has not looked at it yet")
end
if obj.metadata.generation ~= nil and status.observedGeneration ~= obj.metadata.generation then
  return answer("Progressing", "the operator has not seen this generation yet")
end

local found = {}
for _, condition in ipairs(status.conditions) do
  found[condition.type] = condition
end
local function holds(type, wanted)
  return found[type] ~= nil and found[type].status == wanted
end
local function told(health, type)
  local condition = found[type]
  if condition.message ~= nil and condition.message ~= "" then
    return answer(health, condition.message)
  end
  return answer(health, condition.reason)
end

if holds("AwaitingApproval", "True") then
  return told("Suspended", "AwaitingApproval")
end
if holds("Stalled", "True") then
  return told("Degraded", "Stalled")
end
if holds("Accepted", "False") then
  return told("Degraded", "Accepted")
end
if holds("EgressSealed", "False") and found.EgressSealed.reason ~= "ProbePending" then
  return told("Degraded", "EgressSealed")
end
if found.Ready == nil then
  return answer("Progressing", "not ready yet")
end
if paused[found.Ready.reason] then
  return told("Suspended", "Ready")
end
if holds("Ready", "True") then
  return told("Healthy", "Ready")
end
if holds("Ready", "Unknown") or holds("Reconciling", "True") or moving[found.Ready.reason] then
  return told("Progressing", "Ready")
end
return told("Degraded", "Ready")
