-- name: alive
SELECT 1 AS alive;

-- name: tenants
SELECT tenant FROM tenants ORDER BY tenant;

-- name: chart_objects
SELECT kind, key, file, document, sealed FROM chart_objects WHERE tenant = $1 ORDER BY kind, key;

-- name: snapshot_latest
SELECT generation, revision, applied_at FROM snapshots WHERE tenant = $1 ORDER BY generation DESC LIMIT 1;

-- name: bundles
SELECT agent, generation, digest FROM agent_bundles WHERE tenant = $1;

-- name: instance_find
SELECT active FROM instances WHERE tenant = $1 AND agent = $2 AND instance = $3;

-- name: agents_live
-- One row per agent: of its replicas heard lately, the one that can take work soonest.
SELECT DISTINCT ON (l.agent)
       l.agent, l.instance, l.state, l.agent_version, l.boundary, l.bundle_generation, l.reason, l.seen_at
FROM (SELECT a.*, a.seen_at < max(a.seen_at) OVER (PARTITION BY a.agent) - interval '60 seconds' AS late
      FROM agents_live a WHERE a.tenant = $1) l
ORDER BY l.agent, l.late, array_position(ARRAY['Idle', 'Busy', 'Starting'], l.state) NULLS LAST, l.seen_at DESC;

-- name: agent_load
SELECT agent, count(*) FILTER (WHERE state = 'Queued') AS queued, count(*) FILTER (WHERE state <> 'Queued') AS running,
       min(created_at) FILTER (WHERE state = 'Queued') AS oldest
FROM tasks WHERE tenant = $1 AND state IN ('Queued', 'Running', 'Waiting')
GROUP BY agent;

-- name: agent_latency
SELECT agent, avg(extract(epoch FROM updated_at - coalesce(started_at, created_at)))::float8 AS seconds FROM tasks
WHERE tenant = $1 AND created_at >= $2 AND state = 'Succeeded'
GROUP BY agent;

-- name: session_get
SELECT s.tenant, s.id, s.state, s.created_by, s.parent_session_id, s.created_at,
       coalesce((SELECT jsonb_agg(p.participant ORDER BY p.joined_at, p.participant) FROM session_participants p
                 WHERE p.tenant = s.tenant AND p.session_id = s.id), '[]') AS participants,
       coalesce((SELECT jsonb_agg(t.id ORDER BY t.created_at, t.id) FROM tasks t
                 WHERE t.tenant = s.tenant AND t.session_id = s.id), '[]') AS tasks
FROM sessions s WHERE s.tenant = $1 AND s.id = $2;

-- name: shards
SELECT id, session_id, author, data_class, body, hash, created_at
FROM shards WHERE tenant = $1 AND session_id = $2 ORDER BY created_at, id;

-- name: shards_of
SELECT id, session_id, author, data_class, body FROM shards WHERE tenant = $1 AND session_id = ANY ($2::text[])
ORDER BY created_at, id;

-- name: task_get
SELECT * FROM tasks WHERE tenant = $1 AND id = $2;

-- name: tasks_of_trace
SELECT id FROM all_tasks WHERE tenant = $1 AND trace_id = $2 ORDER BY created_at, id LIMIT 200;

-- name: task_list
SELECT * FROM all_tasks
WHERE tenant = $1 AND ($2 = '' OR state = $2) AND ($3 = '' OR agent = $3)
  AND ($4 = '' OR (created_at, id) < (SELECT c.created_at, c.id FROM all_tasks c WHERE c.tenant = $1 AND c.id = $4))
  AND ($6 = '' OR group_id = $6) AND ($7 = '' OR session_id = $7) AND ($8 = '' OR requester = $8)
ORDER BY created_at DESC, id DESC LIMIT $5;

-- name: task_tree
SELECT * FROM all_tasks WHERE tenant = $1 AND root_task_id = $2 ORDER BY created_at, id;

-- name: tasks_of_session
SELECT * FROM all_tasks WHERE tenant = $1 AND session_id = $2 ORDER BY created_at, id;

-- name: claim_look
-- One question for a guard that mostly waits: may it, and is there anything?
SELECT i.active,
       EXISTS (SELECT FROM tasks t WHERE t.tenant = i.tenant AND t.agent = i.agent AND t.state = 'Queued'
               AND t.available_at <= $4 AND t.deadline_at > $4) AS work,
       ARRAY(SELECT t.id FROM tasks t WHERE t.tenant = i.tenant AND t.agent = i.agent AND t.lease_instance = i.instance
             AND t.cancel_pending ORDER BY t.id) AS cancelled,
       EXISTS (SELECT FROM messages m WHERE m.tenant = i.tenant AND m.receiver = 'agent:' || i.agent
               AND m.state IN ('Pending', 'Delivered')) AS mail
FROM instances i WHERE i.tenant = $1 AND i.agent = $2 AND i.instance = $3;

-- name: task_claimable
-- Locks nothing: a lock ends with this statement, long before the lease, which the fence decides.
SELECT tenant, id, agent, session_id, parent_task_id, group_id, prompt, context, attempt, fence, deadline_at, trace_id,
       traceparent
FROM tasks
WHERE tenant = $1 AND agent = $2 AND state = 'Queued' AND available_at <= $3 AND deadline_at > $3
ORDER BY rank, id
LIMIT $4;

-- name: agents_called
-- Of these agents, those for whom there is something: asked once for all whose guards wait.
SELECT w.tenant, w.agent
FROM unnest($1::text[], $2::text[]) AS w(tenant, agent)
WHERE EXISTS (SELECT FROM tasks t WHERE t.tenant = w.tenant AND t.agent = w.agent AND t.state = 'Queued'
              AND t.available_at <= $3 AND t.deadline_at > $3)
   OR EXISTS (SELECT FROM tasks t WHERE t.tenant = w.tenant AND t.agent = w.agent AND t.cancel_pending)
   OR EXISTS (SELECT FROM messages m WHERE m.tenant = w.tenant AND m.receiver = 'agent:' || w.agent
              AND m.state = 'Pending' AND m.available_at <= $3 AND m.expires_at > $3);

-- name: task_held
SELECT * FROM tasks
WHERE tenant = $1 AND id = $2 AND agent = $3 AND fence = $4 AND lease_instance = $5 AND state IN ('Running', 'Waiting');

-- name: tasks_of_instances
SELECT * FROM tasks
WHERE tenant = $1 AND agent = $2 AND state IN ('Running', 'Waiting') AND lease_instance IN (
    SELECT i.instance FROM instances i
    WHERE i.tenant = $1 AND i.agent = $2 AND i.replica = $4 AND i.instance <> $3);

-- name: task_lapsed
SELECT * FROM tasks WHERE state IN ('Running', 'Waiting') AND lease_expires_at <= $1 AND agent <> ALL ($2::text[])
ORDER BY lease_expires_at LIMIT 200;

-- name: task_overdue
SELECT * FROM tasks WHERE state IN ('Held', 'Queued', 'Running', 'Waiting') AND deadline_at <= $1 AND agent <> ALL ($2::text[])
ORDER BY deadline_at LIMIT 200;

-- name: lease_grace
UPDATE tasks SET lease_expires_at = greatest(lease_expires_at, $1) WHERE state IN ('Running', 'Waiting') RETURNING id;

-- name: task_events
SELECT seq, at, task_id, kind, summary, data, duration_ms FROM task_events
WHERE tenant = $1 AND task_id = $2 AND seq > $3 ORDER BY seq LIMIT $4;

-- name: task_events_tree
SELECT seq, at, task_id, kind, summary, data, duration_ms FROM task_events
WHERE tenant = $1 AND seq > $3 AND root_task_id = $2 ORDER BY seq LIMIT $4;

-- name: approval_get
SELECT a.*, coalesce((SELECT jsonb_agg(to_jsonb(v) ORDER BY v.at, v.person) FROM approval_votes v
                      WHERE v.tenant = a.tenant AND v.approval_id = a.id), '[]') AS votes
FROM approvals a WHERE a.tenant = $1 AND a.id = $2;

-- name: approval_of_tool
SELECT id FROM approvals
WHERE tenant = $1 AND task_id = $2 AND tool = $3 AND arguments_hash = $4 AND ordinal = $5 AND kind = 'ToolCall';

-- name: approval_of_step
SELECT id FROM approvals WHERE tenant = $1 AND session_id = $2 AND step_id = $3 AND kind = 'Step';

-- name: approval_list
SELECT a.*, coalesce((SELECT jsonb_agg(to_jsonb(v) ORDER BY v.at, v.person) FROM approval_votes v
                      WHERE v.tenant = a.tenant AND v.approval_id = a.id), '[]') AS votes
FROM approvals a
WHERE a.tenant = $1 AND ($2 = '' OR a.state = $2) AND ($3 = '' OR a.task_id = $3) AND ($4 = '' OR a.session_id = $4)
  AND ($5 = '' OR (a.requested_at, a.id) < (SELECT c.requested_at, c.id FROM approvals c WHERE c.tenant = $1 AND c.id = $5))
ORDER BY a.requested_at DESC, a.id DESC LIMIT $6;

-- name: approval_due
SELECT a.*, coalesce((SELECT jsonb_agg(to_jsonb(v) ORDER BY v.at, v.person) FROM approval_votes v
                      WHERE v.tenant = a.tenant AND v.approval_id = a.id), '[]') AS votes
FROM approvals a
WHERE a.state = 'Pending' AND (a.expires_at <= $1 OR EXISTS (
    SELECT FROM tasks t WHERE t.tenant = a.tenant AND t.id = a.task_id
      AND t.state IN ('Succeeded', 'Failed', 'Cancelled', 'Dead'))) AND a.agent <> ALL ($2::text[])
ORDER BY a.expires_at LIMIT 200;

-- name: intents_of
SELECT * FROM tool_intents
WHERE tenant = $1 AND task_id = $2 AND tool = $3 AND arguments_hash = $4 ORDER BY ordinal;

-- name: intent_of_call
SELECT * FROM tool_intents WHERE tenant = $1 AND task_id = $2 AND attempt = $3 AND tool_call_id = $4 AND tool = $5
  AND arguments_hash = $6;

-- name: pseudonyms_of
SELECT token, entity_type, data_class, sealed FROM pseudonyms
WHERE tenant = $1 AND token = ANY($2::text[]) AND expires_at > $3;

-- name: pseudonyms_granted
SELECT p.token, p.entity_type, p.data_class, p.sealed, p.expires_at
FROM pseudonym_grants g JOIN pseudonyms p ON p.tenant = g.tenant AND p.token = g.token
WHERE g.tenant = $1 AND g.session_id = $2 AND g.token = ANY($3::text[]) AND p.expires_at > $4;

-- name: session_token_version
-- The first token of a session fixes the version of its key for all that follow.
WITH newest AS (
    SELECT coalesce((SELECT k.version FROM token_keys k WHERE k.tenant = $1
                     ORDER BY k.created_at DESC, k.version DESC LIMIT 1), '1') AS version
), pinned AS (
    UPDATE sessions s SET token_version = CASE WHEN s.token_version = '' THEN n.version ELSE s.token_version END
    FROM newest n WHERE s.tenant = $1 AND s.id = $2 RETURNING s.token_version
)
SELECT coalesce(p.token_version, n.version) AS version, p.token_version IS NOT NULL AS pinned
FROM newest n LEFT JOIN pinned p ON true;

-- name: token_keys
SELECT version, sealed, created_at FROM token_keys WHERE tenant = $1 ORDER BY created_at DESC, version DESC;

-- name: rulings
SELECT * FROM finding_rulings ORDER BY tenant, created_at, id;

-- name: ruling_revisions
SELECT tenant, revision FROM ruling_revisions;

-- name: pseudonym_purge
WITH gone AS (DELETE FROM pseudonyms WHERE expires_at <= $1 RETURNING tenant, token)
DELETE FROM pseudonym_grants g USING gone WHERE g.tenant = gone.tenant AND g.token = gone.token RETURNING g.token;

-- name: budget_states
SELECT node, period_start, spent, reserved, tokens_spent, tokens_reserved, told FROM budgets
WHERE tenant = $1 AND (node, period_start) IN (
    SELECT node, period_start FROM unnest($2::text[], $3::timestamptz[]) AS r(node, period_start));

-- name: model_call_get
SELECT * FROM model_calls WHERE tenant = $1 AND task_id = $2 AND call_id = $3;

-- name: model_calls_stale
-- Held for an attempt that is over, or for longer than any call takes.
SELECT * FROM model_calls m
WHERE m.state = 'Reserved' AND (m.reserved_at <= $1 OR NOT EXISTS (
    SELECT FROM tasks t
    WHERE t.tenant = m.tenant AND t.id = m.task_id AND t.state IN ('Running', 'Waiting') AND t.started_at <= m.reserved_at))
ORDER BY m.reserved_at LIMIT 200;

-- name: audit_list
SELECT seq, prev_hash, hash, canonical FROM audit_events
WHERE tenant = $1 AND seq > $2 AND ($3 = '' OR action = $3) AND ($4 = '' OR target = $4) AND ($5 = '' OR actor_id = $5)
  AND ($6 = '' OR trace_id = $6) AND ($7::timestamptz IS NULL OR at >= $7) AND ($8::timestamptz IS NULL OR at < $8)
ORDER BY seq LIMIT $9;

-- name: audit_head
SELECT seq, hash FROM audit_heads WHERE tenant = $1;

-- name: audit_hashes
SELECT hash FROM audit_events WHERE tenant = $1 AND seq > $2 AND seq <= $3 ORDER BY seq;

-- name: checkpoint_latest
SELECT seq, jws, at FROM checkpoints WHERE tenant = $1 ORDER BY seq DESC LIMIT 1;

-- name: audit_known
SELECT event_id FROM audit_events WHERE tenant = $1 AND event_id = ANY($2::text[]);

-- name: audit_salts
SELECT field, salt FROM audit_salts WHERE tenant = $1 AND event_id = $2;

-- name: spans_of
SELECT trace_id, span_id, parent_id, name, service, start_at, end_at, status, attributes
FROM spans WHERE tenant = $1 AND trace_id = $2 ORDER BY start_at, span_id;
