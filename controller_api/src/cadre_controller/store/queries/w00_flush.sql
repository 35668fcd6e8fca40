-- name: flush_begin
WITH scope AS (SELECT set_config('cadre.tenants', $2, true))
INSERT INTO flushes (id) SELECT $1 FROM scope ON CONFLICT DO NOTHING RETURNING id;

-- name: flush_committed
SELECT id FROM flushes WHERE id = $1;

-- name: flush_notify
SELECT pg_notify('cadre', payload) FROM unnest($1::text[]) AS n(payload);

-- name: flush_purge
DELETE FROM flushes WHERE at < now() - interval '1 hour' RETURNING id;

-- name: idempotency_find
-- LIMIT makes it one look at the index for each: joined freely, all keys of a tenant are read while the planner knows
-- nothing of the table.
SELECT k.tenant, k.scope, k.key, k.request_hash, k.response
FROM unnest($1::text[], $2::text[], $3::text[]) AS r(tenant, scope, key)
CROSS JOIN LATERAL (
    SELECT * FROM idempotency_keys i WHERE i.tenant = r.tenant AND i.scope = r.scope AND i.key = r.key LIMIT 1
) k;

-- name: idempotency_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
        AS r(ord, tenant, scope, key, request_hash, response)
), ins AS (
    INSERT INTO idempotency_keys (tenant, scope, key, request_hash, response)
    SELECT tenant, scope, key, request_hash, response::jsonb FROM r ORDER BY ord
    ON CONFLICT DO NOTHING
    RETURNING tenant, scope, key
)
SELECT min(r.ord) AS ord FROM r JOIN ins USING (tenant, scope, key) GROUP BY tenant, scope, key;

-- name: budget_ensure
INSERT INTO budgets (tenant, node, period_start, period, currency)
SELECT tenant, node, period_start, period, currency
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[])
    AS r(tenant, node, period_start, period, currency)
ORDER BY tenant, node, period_start
ON CONFLICT DO NOTHING
RETURNING node;

-- name: budget_lock
SELECT b.tenant, b.node, b.period_start, b.spent, b.reserved, b.tokens_spent, b.tokens_reserved
FROM budgets b
WHERE (b.tenant, b.node, b.period_start) IN (
    SELECT tenant, node, period_start FROM unnest($1::text[], $2::text[], $3::timestamptz[])
        AS r(tenant, node, period_start))
ORDER BY b.tenant, b.node, b.period_start
FOR UPDATE;

-- name: budget_apply
UPDATE budgets b SET
    spent = b.spent + r.spent,
    reserved = b.reserved + r.reserved,
    tokens_spent = b.tokens_spent + r.tokens_spent,
    tokens_reserved = b.tokens_reserved + r.tokens_reserved
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::numeric[], $5::numeric[], $6::bigint[], $7::bigint[])
    AS r(tenant, node, period_start, spent, reserved, tokens_spent, tokens_reserved)
WHERE b.tenant = r.tenant AND b.node = r.node AND b.period_start = r.period_start
RETURNING b.node;

-- name: audit_ensure_heads
INSERT INTO audit_heads (tenant, seq, hash)
SELECT tenant, 0, $2 FROM unnest($1::text[]) AS r(tenant) ORDER BY tenant
ON CONFLICT DO NOTHING
RETURNING tenant;

-- name: audit_lock_heads
SELECT tenant, seq, hash FROM audit_heads WHERE tenant = ANY($1::text[]) ORDER BY tenant FOR UPDATE;

-- name: audit_append
WITH links AS (
    INSERT INTO audit_events (tenant, seq, event_id, prev_hash, hash, canonical, at, actor_id, action, target, result,
                              trace_id)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::timestamptz[],
                         $8::text[], $9::text[], $10::text[], $11::text[], $12::text[])
)
UPDATE audit_heads h SET seq = r.seq, hash = r.hash
FROM unnest($13::text[], $14::bigint[], $15::text[]) AS r(tenant, seq, hash)
WHERE h.tenant = r.tenant
RETURNING h.tenant;

-- name: audit_insert_salts
INSERT INTO audit_salts (tenant, event_id, field, salt)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[])
RETURNING field;
