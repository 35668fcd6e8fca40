-- name: execution_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[], $7::text[], $8::text[],
                         $9::text[], $10::text[], $11::timestamptz[], $12::text[], $13::text[], $14::text[],
                         $15::boolean[], $16::timestamptz[])
        AS r(ord, tenant, id, workflow, sealed, params, requester, person, session_id, parent_id, at, state, reason,
             result, poked, ended_at)
), ins AS (
    INSERT INTO executions (tenant, id, workflow, sealed, params, requester, person, session_id, parent_id, state,
                            reason, result, poked, created_at, ended_at)
    SELECT tenant, id, workflow, sealed, params::jsonb, requester, person, session_id, parent_id, state, reason,
           result::jsonb, poked, at, ended_at
    FROM r
    ON CONFLICT DO NOTHING
    RETURNING tenant, id
)
SELECT r.ord FROM r JOIN ins USING (tenant, id);

-- name: execution_update
UPDATE executions e SET
    state = r.state, reason = r.reason, result = r.result::jsonb, cancelled = r.cancelled, poked = r.poked,
    round = r.round, due_at = r.due_at, ended_at = r.ended_at, version = e.version + 1
FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::boolean[],
            $9::boolean[], $10::int[], $11::timestamptz[], $12::timestamptz[])
    AS r(ord, tenant, id, version, state, reason, result, cancelled, poked, round, due_at, ended_at)
WHERE e.tenant = r.tenant AND e.id = r.id AND e.version = r.version
RETURNING r.ord;

-- name: execution_step_put
-- What a step gave is recorded once: only a running one changes.
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::text[], $6::int[], $7::text[], $8::text[],
                         $9::text[], $10::text[], $11::text[], $12::text[], $13::timestamptz[], $14::timestamptz[],
                         $15::timestamptz[])
        AS r(ord, tenant, execution_id, round, name, item, kind, state, ref, result, reason, message, due_at, at, ended_at)
), ins AS (
    INSERT INTO execution_steps AS s (tenant, execution_id, round, name, item, kind, state, ref, result, reason, message,
                                      due_at, started_at, ended_at)
    SELECT tenant, execution_id, round, name, item, kind, state, ref, result::jsonb, reason, message, due_at, at, ended_at
    FROM r
    ON CONFLICT (tenant, execution_id, round, name, item) DO UPDATE SET
        state = excluded.state, result = excluded.result, reason = excluded.reason, message = excluded.message,
        due_at = excluded.due_at, ended_at = excluded.ended_at, ref = coalesce(nullif(excluded.ref, ''), s.ref)
    WHERE s.state = 'Running'
    RETURNING s.tenant, s.execution_id, s.round, s.name, s.item
)
SELECT r.ord FROM r JOIN ins USING (tenant, execution_id, round, name, item);

-- name: execution_steps_repeat
UPDATE execution_steps s SET current = false
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS r(ord, tenant, execution_id, names)
WHERE s.tenant = r.tenant AND s.execution_id = r.execution_id AND s.name = ANY (string_to_array(r.names, ','))
RETURNING r.ord;
