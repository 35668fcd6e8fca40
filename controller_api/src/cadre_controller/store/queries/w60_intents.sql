-- name: intent_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::int[],
                         $9::text[], $10::text[], $11::timestamptz[])
        AS r(ord, tenant, task_id, tool, arguments_hash, ordinal, owner, attempt, tool_call_id, idempotency_key, at)
), ins AS (
    INSERT INTO tool_intents (tenant, task_id, tool, arguments_hash, ordinal, state, owner, attempt, tool_call_id,
                              idempotency_key, started_at)
    SELECT tenant, task_id, tool, arguments_hash, ordinal, 'Started', owner, attempt, tool_call_id, idempotency_key, at
    FROM r ORDER BY ord
    ON CONFLICT DO NOTHING
    RETURNING tenant, task_id, tool, arguments_hash, ordinal
)
SELECT min(r.ord) AS ord FROM r JOIN ins USING (tenant, task_id, tool, arguments_hash, ordinal)
GROUP BY tenant, task_id, tool, arguments_hash, ordinal;

-- name: intent_consume
UPDATE tool_intents i SET
    attempt = r.attempt, tool_call_id = r.tool_call_id, owner = r.owner,
    state = CASE WHEN i.state = 'Approved' THEN 'Started' ELSE i.state END
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::int[], $9::text[],
            $10::int[], $11::text[], $12::text[])
    AS r(ord, tenant, task_id, tool, arguments_hash, ordinal, owner, attempt, tool_call_id, seen_attempt, seen_state,
         seen_owner)
WHERE i.tenant = r.tenant AND i.task_id = r.task_id AND i.tool = r.tool AND i.arguments_hash = r.arguments_hash
  AND i.ordinal = r.ordinal AND i.attempt = r.seen_attempt AND i.state = r.seen_state AND i.owner = r.seen_owner
RETURNING r.ord;

-- name: intent_done
UPDATE tool_intents i SET state = 'Done', result = r.result::jsonb, done_at = r.at
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::timestamptz[])
    AS r(ord, tenant, task_id, tool, arguments_hash, ordinal, result, at)
WHERE i.tenant = r.tenant AND i.task_id = r.task_id AND i.tool = r.tool AND i.arguments_hash = r.arguments_hash
  AND i.ordinal = r.ordinal AND i.state <> 'Done'
RETURNING r.ord;

-- name: intent_drop
DELETE FROM tool_intents i
USING unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[])
    AS r(ord, tenant, task_id, tool, arguments_hash, ordinal, owner)
WHERE i.tenant = r.tenant AND i.task_id = r.task_id AND i.tool = r.tool AND i.arguments_hash = r.arguments_hash
  AND i.ordinal = r.ordinal AND i.owner = r.owner AND i.state = 'Started'
RETURNING r.ord;

-- name: intent_approve
UPDATE tool_intents i SET state = 'Approved'
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[])
    AS r(ord, tenant, task_id, tool, arguments_hash, ordinal)
WHERE i.tenant = r.tenant AND i.task_id = r.task_id AND i.tool = r.tool AND i.arguments_hash = r.arguments_hash
  AND i.ordinal = r.ordinal AND i.state = 'Started'
RETURNING r.ord;
