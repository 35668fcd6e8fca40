-- name: permit_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::text[], $10::int[], $11::timestamptz[], $12::timestamptz[])
        AS r(ord, tenant, id, approval_id, person, agent, session_id, tool, rules, uses, expires_at, at)
), ins AS (
    INSERT INTO permits (tenant, id, approval_id, person, agent, session_id, tool, rules, uses_left, expires_at, created_at)
    SELECT tenant, id, approval_id, person, agent, session_id, tool, string_to_array(rules, ','), uses, expires_at, at
    FROM r
    ON CONFLICT DO NOTHING
    RETURNING tenant, id
)
SELECT r.ord FROM r JOIN ins USING (tenant, id);

-- name: permit_use
UPDATE permits p SET uses_left = p.uses_left - 1
FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[]) AS r(ord, tenant, id, at)
WHERE p.tenant = r.tenant AND p.id = r.id AND p.uses_left > 0 AND p.expires_at > r.at AND p.revoked_at IS NULL
RETURNING r.ord;

-- name: permit_revoke
UPDATE permits p SET revoked_at = r.at
FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[]) AS r(ord, tenant, id, at)
WHERE p.tenant = r.tenant AND p.id = r.id AND p.revoked_at IS NULL
RETURNING r.ord;

-- name: approval_remind
UPDATE approvals a SET remind_at = r.remind_at, reminders = a.reminders + 1
FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::timestamptz[]) AS r(ord, tenant, id, reminders, remind_at)
WHERE a.tenant = r.tenant AND a.id = r.id AND a.reminders = r.reminders AND a.state = 'Pending'
RETURNING r.ord;

-- name: notification_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
        AS r(ord, tenant, id, kind, target, body, at)
), ins AS (
    INSERT INTO notifications (tenant, id, kind, target, body, due_at, created_at)
    SELECT tenant, id, kind, target, body::jsonb, at, at FROM r
    ON CONFLICT DO NOTHING
    RETURNING tenant, id
)
SELECT r.ord FROM r JOIN ins USING (tenant, id);

-- name: notification_claim
-- Only one controller tells; what it was cut in is told again when the time is over.
UPDATE notifications n SET due_at = r.until
FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[]) AS r(ord, tenant, id, due_at, until)
WHERE n.tenant = r.tenant AND n.id = r.id AND n.due_at = r.due_at AND n.sent_at IS NULL AND n.failed_at IS NULL
RETURNING r.ord;

-- name: notification_sent
UPDATE notifications n SET sent_at = r.at, attempts = n.attempts + 1, body = '{}'::jsonb
FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[]) AS r(ord, tenant, id, at)
WHERE n.tenant = r.tenant AND n.id = r.id
RETURNING r.ord;

-- name: notification_failed
UPDATE notifications n SET attempts = n.attempts + 1, due_at = r.due_at, last_error = r.error,
    failed_at = CASE WHEN r.last THEN r.at END, body = CASE WHEN r.last THEN '{}'::jsonb ELSE n.body END
FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::boolean[], $7::timestamptz[])
    AS r(ord, tenant, id, due_at, error, last, at)
WHERE n.tenant = r.tenant AND n.id = r.id
RETURNING r.ord;

-- name: link_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
        AS r(ord, tenant, hash, approval_id, person, expires_at)
), ins AS (
    INSERT INTO approval_links (tenant, hash, approval_id, person, expires_at)
    SELECT tenant, hash, approval_id, person, expires_at FROM r
    ON CONFLICT DO NOTHING
    RETURNING tenant, hash
)
SELECT r.ord FROM r JOIN ins USING (tenant, hash);

-- name: link_use
UPDATE approval_links l SET used_at = r.at
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]) AS r(ord, tenant, hash, person, at)
WHERE l.tenant = r.tenant AND l.hash = r.hash AND l.person = r.person AND l.used_at IS NULL AND l.expires_at > r.at
RETURNING r.ord;
