-- name: task_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::int[], $10::text[], $11::text[], $12::int[], $13::int[], $14::timestamptz[],
                         $15::timestamptz[], $16::text[], $17::text[], $18::text[], $19::text[], $20::timestamptz[],
                         $21::text[], $22::text[], $23::text[])
        AS r(ord, tenant, id, agent, requester, session_id, parent_task_id, root_task_id, depth, prompt, context,
             max_attempts, priority, at, deadline_at, trace_id, traceparent, route, state, available_at, approval,
             group_id, schedule_id)
), ins AS (
    INSERT INTO tasks (tenant, id, state, agent, requester, session_id, parent_task_id, root_task_id, depth, prompt,
                       context, max_attempts, priority, available_at, created_at, updated_at, deadline_at, trace_id,
                       traceparent, route, rank, pending_approval, group_id, schedule_id)
    SELECT tenant, id, state, agent, requester, session_id, parent_task_id, root_task_id, depth, prompt,
           context::jsonb, max_attempts, priority, available_at, at, at, deadline_at, trace_id, traceparent, route::jsonb,
           available_at - priority * interval '36 seconds', approval, group_id, schedule_id
    FROM r ORDER BY ord
    ON CONFLICT DO NOTHING
    RETURNING tenant, id
)
SELECT min(r.ord) AS ord FROM r JOIN ins USING (tenant, id) GROUP BY tenant, id;

-- name: task_lease_lapsed
-- Stands before every query that changes a lease: within a flush, queries run in the order of this file.
SELECT r.ord
FROM unnest($1::int[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[]) AS r(ord, tenant, id, fence, at)
JOIN tasks t ON t.tenant = r.tenant AND t.id = r.id AND t.fence = r.fence AND t.lease_expires_at <= r.at
FOR UPDATE OF t;

-- name: slot_lock
-- Makes and locks the places that a lease needs. The count follows in a statement of its own: it must see what others
-- committed while this one waited.
INSERT INTO slots (tenant, scope)
SELECT DISTINCT tenant, scope FROM unnest($1::int[], $2::text[], $3::text[]) AS r(ord, tenant, scope)
ORDER BY tenant, scope
ON CONFLICT (tenant, scope) DO UPDATE SET scope = excluded.scope
RETURNING 0 AS ord;

-- name: slot_take
WITH r AS (
    SELECT r.*, row_number() OVER (PARTITION BY tenant, scope ORDER BY ord) AS place
    FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::text[]) AS r(ord, tenant, scope, most, agents)
), used AS (
    SELECT s.tenant, s.scope, count(t.id) AS running
    FROM (SELECT DISTINCT tenant, scope, agents FROM r) s
    LEFT JOIN tasks t ON t.tenant = s.tenant AND t.agent = ANY (string_to_array(s.agents, ','))
        AND t.state IN ('Running', 'Waiting')
    GROUP BY s.tenant, s.scope
)
SELECT r.ord FROM r JOIN used USING (tenant, scope) WHERE used.running + r.place <= r.most;

-- name: task_lease
UPDATE tasks t SET
    state = 'Running', attempt = t.attempt + 1, fence = t.fence + 1, lease_instance = r.instance,
    lease_expires_at = r.expires_at, updated_at = r.at, started_at = r.at, reason = '', message = '',
    cancel_pending = false
FROM unnest($1::int[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::timestamptz[], $7::timestamptz[])
    AS r(ord, tenant, id, fence, instance, expires_at, at)
WHERE t.tenant = r.tenant AND t.id = r.id AND t.fence = r.fence AND t.state = 'Queued'
RETURNING r.ord, t.fence, t.attempt;

-- name: task_heartbeat
UPDATE tasks t SET lease_expires_at = r.expires_at
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::timestamptz[])
    AS r(ord, tenant, id, agent, fence, instance, expires_at)
WHERE t.tenant = r.tenant AND t.id = r.id AND t.agent = r.agent AND t.fence = r.fence
  AND t.lease_instance = r.instance AND t.state IN ('Running', 'Waiting')
RETURNING r.ord;

-- name: task_finish
UPDATE tasks t SET
    state = r.state, result = r.result, reason = r.reason, message = r.message, updated_at = r.at,
    lease_expires_at = NULL, pending_approval = ''
FROM unnest($1::int[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::timestamptz[])
    AS r(ord, tenant, id, fence, state, result, reason, message, at)
WHERE t.tenant = r.tenant AND t.id = r.id AND t.fence = r.fence AND t.state IN ('Held', 'Queued', 'Running', 'Waiting')
RETURNING r.ord;

-- name: task_end
-- As its holder ends it: by somebody who holds it no longer, nothing.
UPDATE tasks t SET
    state = r.state, result = r.result, reason = r.reason, message = r.message, updated_at = r.at,
    lease_expires_at = NULL, pending_approval = ''
FROM unnest($1::int[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::timestamptz[])
    AS r(ord, tenant, id, fence, state, result, reason, message, at)
WHERE t.tenant = r.tenant AND t.id = r.id AND t.fence = r.fence AND t.state IN ('Running', 'Waiting')
RETURNING r.ord;

-- name: task_requeue
UPDATE tasks t SET
    state = 'Queued', reason = r.reason, message = r.message, available_at = r.available_at, updated_at = r.at,
    lease_instance = '', lease_expires_at = NULL, pending_approval = '', crashes = t.crashes + r.crashed
FROM unnest($1::int[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[],
            $8::timestamptz[], $9::int[])
    AS r(ord, tenant, id, fence, reason, message, available_at, at, crashed)
WHERE t.tenant = r.tenant AND t.id = r.id AND t.fence = r.fence AND t.state IN ('Running', 'Waiting', 'OutcomeUnknown')
RETURNING r.ord;

-- name: task_cancel
UPDATE tasks t SET
    cancel_pending = t.state IN ('Running', 'Waiting'),
    state = 'Cancelled', reason = r.reason, updated_at = r.at, lease_expires_at = NULL, pending_approval = ''
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]) AS r(ord, tenant, id, reason, at)
WHERE t.tenant = r.tenant AND t.id = r.id AND t.state IN ('Held', 'Queued', 'Running', 'Waiting', 'OutcomeUnknown')
RETURNING r.ord, t.agent;

-- name: task_cancel_seen
UPDATE tasks t SET cancel_pending = false
FROM unnest($1::int[], $2::text[], $3::text[]) AS r(ord, tenant, id)
WHERE t.tenant = r.tenant AND t.id = r.id AND t.cancel_pending
RETURNING r.ord;

-- name: task_waiting
UPDATE tasks t SET state = 'Waiting', pending_approval = r.approval, updated_at = r.at
FROM unnest($1::int[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::timestamptz[])
    AS r(ord, tenant, id, fence, approval, at)
WHERE t.tenant = r.tenant AND t.id = r.id AND t.fence = r.fence AND t.state IN ('Running', 'Waiting')
RETURNING r.ord;

-- name: task_resume
UPDATE tasks t SET state = 'Running', pending_approval = '', updated_at = r.at
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]) AS r(ord, tenant, id, approval, at)
WHERE t.tenant = r.tenant AND t.id = r.id AND t.pending_approval = r.approval AND t.state = 'Waiting'
RETURNING r.ord;

-- name: task_outcome_unknown
UPDATE tasks t SET
    state = 'OutcomeUnknown', reason = 'OutcomeUnknown', message = r.message, pending_approval = r.approval,
    updated_at = r.at, lease_instance = '', lease_expires_at = NULL
FROM unnest($1::int[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::timestamptz[])
    AS r(ord, tenant, id, fence, approval, message, at)
WHERE t.tenant = r.tenant AND t.id = r.id AND t.fence = r.fence AND t.state IN ('Running', 'Waiting')
RETURNING r.ord;

-- name: task_outcome_refused
UPDATE tasks t SET state = 'Failed', reason = 'OutcomeUnknown', message = r.message, pending_approval = '',
    updated_at = r.at
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
    AS r(ord, tenant, id, approval, message, at)
WHERE t.tenant = r.tenant AND t.id = r.id AND t.pending_approval = r.approval AND t.state = 'OutcomeUnknown'
RETURNING r.ord;

-- name: task_outcome_rerun
UPDATE tasks t SET state = 'Queued', reason = '', message = '', pending_approval = '', available_at = r.at,
    updated_at = r.at, deadline_at = greatest(t.deadline_at, r.deadline_at),
    max_attempts = greatest(t.max_attempts, t.attempt + 1)
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
    AS r(ord, tenant, id, approval, deadline_at, at)
WHERE t.tenant = r.tenant AND t.id = r.id AND t.pending_approval = r.approval AND t.state = 'OutcomeUnknown'
RETURNING r.ord;

-- name: task_release
UPDATE tasks t SET state = 'Queued', pending_approval = '', reason = '', updated_at = r.at,
    available_at = greatest(t.available_at, r.at), deadline_at = t.deadline_at + (r.at - t.created_at)
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]) AS r(ord, tenant, id, approval, at)
WHERE t.tenant = r.tenant AND t.id = r.id AND t.pending_approval = r.approval AND t.state = 'Held'
RETURNING r.ord;

-- name: task_refuse
UPDATE tasks t SET state = 'Failed', pending_approval = '', reason = r.reason, message = r.message, updated_at = r.at
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
    AS r(ord, tenant, id, approval, reason, message, at)
WHERE t.tenant = r.tenant AND t.id = r.id AND t.pending_approval = r.approval AND t.state = 'Held'
RETURNING r.ord;

-- name: task_redrive
UPDATE tasks t SET state = 'Queued', reason = '', message = '', attempt = 0, crashes = 0, available_at = r.at,
    updated_at = r.at, deadline_at = r.deadline_at, lease_instance = '', lease_expires_at = NULL,
    rank = r.at - t.priority * interval '36 seconds'
FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
    AS r(ord, tenant, id, deadline_at, at)
WHERE t.tenant = r.tenant AND t.id = r.id AND t.state = 'Dead'
RETURNING r.ord;

-- name: task_drop
UPDATE tasks t SET state = 'Cancelled', reason = 'Dropped', updated_at = r.at
FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[]) AS r(ord, tenant, id, at)
WHERE t.tenant = r.tenant AND t.id = r.id AND t.state = 'Dead'
RETURNING r.ord;

-- name: task_usage
UPDATE tasks t SET
    input_tokens = t.input_tokens + r.input_tokens, output_tokens = t.output_tokens + r.output_tokens,
    model_calls = t.model_calls + 1, cost = t.cost + r.cost, currency = r.currency
FROM unnest($1::int[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::numeric[], $7::text[])
    AS r(ord, tenant, id, input_tokens, output_tokens, cost, currency)
WHERE t.tenant = r.tenant AND t.id = r.id
RETURNING r.ord;

-- name: task_event_insert
-- LIMIT: see idempotency_find. A reader goes on after the last number it saw: one story's numbers are given in the order
-- of the commits, also by several controllers, so each waits until the one before it has committed.
WITH r AS (
    SELECT r.*, t.root_task_id
    FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::text[],
                $8::double precision[])
        AS r(ord, tenant, task_id, at, kind, summary, data, duration_ms)
    CROSS JOIN LATERAL (
        SELECT root_task_id FROM tasks t WHERE t.tenant = r.tenant AND t.id = r.task_id LIMIT 1
    ) t
), turns AS MATERIALIZED (
    SELECT count(pg_advisory_xact_lock(turn)) AS taken
    FROM (SELECT DISTINCT hashtextextended(tenant || '/' || root_task_id, 0) AS turn FROM r ORDER BY turn) stories
), ins AS (
    INSERT INTO task_events (tenant, task_id, root_task_id, at, kind, summary, data, duration_ms)
    SELECT tenant, task_id, root_task_id, at, kind, summary, data::jsonb, duration_ms FROM r, turns ORDER BY ord
    RETURNING seq
)
SELECT r.ord FROM r;
