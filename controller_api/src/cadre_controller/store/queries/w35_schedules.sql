-- name: schedule_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::bytea[], $10::timestamptz[], $11::timestamptz[])
        AS r(ord, tenant, id, name, cron, time_zone, person, actor, sealed, next_at, at)
), ins AS (
    INSERT INTO schedules (tenant, id, name, state, cron, time_zone, person, actor, sealed, next_at, created_at)
    SELECT tenant, id, name, 'Active', cron, time_zone, person, actor, sealed, next_at, at FROM r
    ON CONFLICT DO NOTHING
    RETURNING tenant, id
)
SELECT r.ord FROM r JOIN ins USING (tenant, id);

-- name: schedule_ran
UPDATE schedules s SET next_at = r.next_at, last_at = r.at, last_task = r.task, last_reason = r.reason,
    version = s.version + 1
FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::timestamptz[], $7::text[], $8::text[])
    AS r(ord, tenant, id, version, next_at, at, task, reason)
WHERE s.tenant = r.tenant AND s.id = r.id AND s.version = r.version
RETURNING r.ord;

-- name: schedule_state
UPDATE schedules s SET state = r.state, next_at = r.next_at, version = s.version + 1
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::timestamptz[]) AS r(ord, tenant, id, state, next_at)
WHERE s.tenant = r.tenant AND s.id = r.id
RETURNING r.ord;

-- name: schedule_delete
DELETE FROM schedules s USING unnest($1::int[], $2::text[], $3::text[]) AS r(ord, tenant, id)
WHERE s.tenant = r.tenant AND s.id = r.id
RETURNING r.ord;
