-- name: freezes
SELECT tenant, scope, target, source, reason, rank, frozen_by, frozen_at, break_glass FROM freezes;

-- name: freeze_put
-- A freeze that is there keeps its time; `former` is the rank it was read with, so that nobody lowers it unseen.
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::timestamptz[], $10::boolean[], $11::text[])
        AS r(ord, tenant, scope, target, source, reason, rank, frozen_by, at, break_glass, former)
), ins AS (
    INSERT INTO freezes AS f (tenant, scope, target, source, reason, rank, frozen_by, frozen_at, break_glass)
    SELECT tenant, scope, target, source, reason, rank, frozen_by, at, break_glass FROM r
    ON CONFLICT (tenant, scope, target, source) DO UPDATE SET
        reason = excluded.reason, rank = excluded.rank, frozen_by = excluded.frozen_by,
        break_glass = excluded.break_glass
    WHERE f.rank = (SELECT r.former FROM r WHERE r.tenant = f.tenant AND r.scope = f.scope AND r.target = f.target
                      AND r.source = f.source)
    RETURNING tenant, scope, target, source
)
SELECT r.ord FROM r JOIN ins USING (tenant, scope, target, source);

-- name: freeze_delete
DELETE FROM freezes f
USING unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
    AS r(ord, tenant, scope, target, source, rank)
WHERE f.tenant = r.tenant AND f.scope = r.scope AND f.target = r.target AND f.source = r.source AND f.rank = r.rank
RETURNING r.ord;

-- name: freeze_story
-- What runs now is told that it stands still, or goes on.
WITH r AS (
    SELECT r.ord, r.at, r.kind, r.summary, t.tenant, t.id, t.root_task_id
    FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[])
        AS r(ord, tenant, agent, at, kind, summary)
    JOIN tasks t ON t.tenant = r.tenant AND t.agent = r.agent AND t.state IN ('Running', 'Waiting')
), ins AS (
    INSERT INTO task_events (tenant, task_id, root_task_id, at, kind, summary, data)
    SELECT tenant, id, root_task_id, at, kind, summary, '{}' FROM r
    RETURNING seq
)
SELECT ord FROM r;

-- name: task_thaw
-- Time that stood still does not count; a turn whose stream was cut gets another attempt.
UPDATE tasks t SET
    deadline_at = t.deadline_at + least(make_interval(secs => r.seconds), r.at - t.created_at),
    lease_expires_at = greatest(t.lease_expires_at, r.lease_until),
    max_attempts = t.max_attempts + CASE WHEN t.state = 'Queued' THEN 0 ELSE 1 END, updated_at = r.at
FROM unnest($1::int[], $2::text[], $3::text[], $4::double precision[], $5::timestamptz[], $6::timestamptz[])
    AS r(ord, tenant, agent, seconds, lease_until, at)
WHERE t.tenant = r.tenant AND t.agent = r.agent AND t.state IN ('Queued', 'Running', 'Waiting')
RETURNING r.ord;

-- name: approval_thaw
UPDATE approvals a SET
    expires_at = a.expires_at + least(make_interval(secs => r.seconds), r.at - a.requested_at)
FROM unnest($1::int[], $2::text[], $3::text[], $4::double precision[], $5::timestamptz[])
    AS r(ord, tenant, agent, seconds, at)
WHERE a.tenant = r.tenant AND a.agent = r.agent AND a.state = 'Pending'
RETURNING r.ord;
