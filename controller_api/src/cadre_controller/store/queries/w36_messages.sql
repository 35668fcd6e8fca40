-- name: message_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[], $13::text[])
        AS r(ord, tenant, id, sender, receiver, topic, type, severity, session_id, body, at, expires_at, trace_id)
), ins AS (
    INSERT INTO messages (tenant, id, sender, receiver, topic, type, severity, session_id, body, state, available_at,
                          created_at, expires_at, trace_id)
    SELECT tenant, id, sender, receiver, topic, type, severity, session_id, body, 'Pending', at, at, expires_at, trace_id
    FROM r ORDER BY ord
    ON CONFLICT DO NOTHING
    RETURNING tenant, id
)
SELECT r.ord FROM r JOIN ins USING (tenant, id);

-- name: message_deliver
UPDATE messages m SET state = 'Delivered', attempts = m.attempts + 1, lease_until = r.lease_until, carrier = r.carrier
FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::text[])
    AS r(ord, tenant, id, attempts, lease_until, carrier)
WHERE m.tenant = r.tenant AND m.id = r.id AND m.attempts = r.attempts AND m.state = 'Pending'
RETURNING r.ord;

-- name: message_ack
UPDATE messages m SET state = 'Acked', ended_at = r.at, lease_until = NULL
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]) AS r(ord, tenant, id, receiver, at)
WHERE m.tenant = r.tenant AND m.id = r.id AND m.receiver = r.receiver AND m.state IN ('Pending', 'Delivered')
RETURNING r.ord;

-- name: message_ack_carried
UPDATE messages m SET state = 'Acked', ended_at = r.at, lease_until = NULL
FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[]) AS r(ord, tenant, carrier, at)
WHERE m.tenant = r.tenant AND m.carrier = r.carrier AND m.carrier <> '' AND m.state = 'Delivered'
RETURNING r.ord;

-- name: message_return
UPDATE messages m SET state = r.state, reason = r.reason, available_at = r.available_at, lease_until = NULL, carrier = '',
    ended_at = CASE WHEN r.state = 'Dead' THEN r.at END
FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[])
    AS r(ord, tenant, id, attempts, state, reason, available_at, at)
WHERE m.tenant = r.tenant AND m.id = r.id AND m.attempts = r.attempts AND m.state IN ('Pending', 'Delivered')
RETURNING r.ord;

-- name: message_redrive
UPDATE messages m SET state = 'Pending', reason = '', attempts = 0, available_at = r.at, expires_at = r.expires_at,
    ended_at = NULL
FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[]) AS r(ord, tenant, id, expires_at, at)
WHERE m.tenant = r.tenant AND m.id = r.id AND m.state = 'Dead'
RETURNING r.ord;

-- name: message_drop
DELETE FROM messages m USING unnest($1::int[], $2::text[], $3::text[]) AS r(ord, tenant, id)
WHERE m.tenant = r.tenant AND m.id = r.id AND m.state = 'Dead'
RETURNING r.ord;

-- name: subscribe
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
        AS r(ord, tenant, topic, receiver, at)
), ins AS (
    INSERT INTO subscriptions (tenant, topic, receiver, created_at)
    SELECT DISTINCT ON (tenant, topic, receiver) tenant, topic, receiver, at FROM r
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT r.ord FROM r;

-- name: unsubscribe
DELETE FROM subscriptions s USING unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS r(ord, tenant, topic, receiver)
WHERE s.tenant = r.tenant AND s.topic = r.topic AND s.receiver = r.receiver
RETURNING r.ord;
