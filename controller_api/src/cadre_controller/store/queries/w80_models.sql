-- name: model_call_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::text[], $10::text[], $11::text[], $12::numeric[], $13::bigint[], $14::timestamptz[])
        AS r(ord, tenant, task_id, call_id, session_id, agent, provider, model, purpose, trace_id, holds, amount,
             tokens, at)
), ins AS (
    INSERT INTO model_calls (tenant, task_id, call_id, state, session_id, agent, provider, model, purpose, trace_id,
                             holds, amount, tokens, reserved_at)
    SELECT tenant, task_id, call_id, 'Reserved', session_id, agent, provider, model, purpose, trace_id, holds::jsonb,
           amount, tokens, at
    FROM r ORDER BY ord
    ON CONFLICT (tenant, task_id, call_id) DO UPDATE SET
        state = 'Reserved', provider = excluded.provider, model = excluded.model, holds = excluded.holds,
        amount = excluded.amount, tokens = excluded.tokens, reserved_at = excluded.reserved_at
        WHERE model_calls.state = 'Released'
    RETURNING tenant, task_id, call_id
)
SELECT min(r.ord) AS ord FROM r JOIN ins USING (tenant, task_id, call_id) GROUP BY tenant, task_id, call_id;

-- name: model_call_settle
UPDATE model_calls m SET
    state = r.state, input_tokens = r.input_tokens, output_tokens = r.output_tokens, cost = r.cost,
    currency = r.currency, latency_ms = r.latency_ms, result = r.result, settled_at = r.at
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::numeric[],
            $9::text[], $10::double precision[], $11::text[], $12::timestamptz[])
    AS r(ord, tenant, task_id, call_id, state, input_tokens, output_tokens, cost, currency, latency_ms, result, at)
WHERE m.tenant = r.tenant AND m.task_id = r.task_id AND m.call_id = r.call_id AND m.state = 'Reserved'
RETURNING r.ord;

-- name: model_call_settle_late
-- The room was given back when the lease ended, yet the call went on: what it used is spent all the same.
UPDATE model_calls m SET
    state = r.state, input_tokens = r.input_tokens, output_tokens = r.output_tokens, cost = r.cost,
    currency = r.currency, latency_ms = r.latency_ms, result = r.result, settled_at = r.at
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::numeric[],
            $9::text[], $10::double precision[], $11::text[], $12::timestamptz[])
    AS r(ord, tenant, task_id, call_id, state, input_tokens, output_tokens, cost, currency, latency_ms, result, at)
WHERE m.tenant = r.tenant AND m.task_id = r.task_id AND m.call_id = r.call_id
  AND m.state = 'Released' AND m.result = 'Abandoned'
RETURNING r.ord;

-- name: checkpoint_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[], $4::text[], $5::timestamptz[])
        AS r(ord, tenant, seq, jws, at)
), ins AS (
    INSERT INTO checkpoints (tenant, seq, jws, at) SELECT tenant, seq, jws, at FROM r
    ON CONFLICT DO NOTHING RETURNING 1
)
SELECT r.ord FROM r;

-- name: audit_unknown
SELECT r.ord FROM unnest($1::int[], $2::text[], $3::text[]) AS r(ord, tenant, event_id)
WHERE NOT EXISTS (SELECT FROM audit_events e WHERE e.tenant = r.tenant AND e.event_id = r.event_id);

-- name: audit_salt_erase
DELETE FROM audit_salts s USING unnest($1::int[], $2::text[], $3::text[]) AS r(ord, tenant, event_id)
WHERE s.tenant = r.tenant AND s.event_id = r.event_id
RETURNING r.ord;

-- name: span_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                         $8::timestamptz[], $9::timestamptz[], $10::text[], $11::text[])
        AS r(ord, tenant, trace_id, span_id, parent_id, name, service, start_at, end_at, status, attributes)
), ins AS (
    INSERT INTO spans (tenant, trace_id, span_id, parent_id, name, service, start_at, end_at, status, attributes)
    SELECT tenant, trace_id, span_id, parent_id, name, service, start_at, end_at, status, attributes::jsonb FROM r
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT r.ord FROM r;
