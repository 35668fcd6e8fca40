-- name: approval_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::int[],
                         $16::text[], $17::timestamptz[], $18::timestamptz[], $19::text[])
        AS r(ord, tenant, id, kind, state, session_id, task_id, step_id, agent, node, requester, tool, arguments,
             arguments_hash, ordinal, requirements, at, expires_at, reason)
), ins AS (
    INSERT INTO approvals (tenant, id, kind, state, session_id, task_id, step_id, agent, node, requester, tool,
                           arguments, arguments_hash, ordinal, requirements, requested_at, expires_at, reason,
                           decided_at)
    SELECT tenant, id, kind, state, session_id, task_id, step_id, agent, node, requester, tool, arguments::jsonb,
           arguments_hash, ordinal, requirements::jsonb, at, expires_at, reason,
           CASE WHEN state = 'Pending' THEN NULL ELSE at END
    FROM r ORDER BY ord
    ON CONFLICT DO NOTHING
    RETURNING tenant, id
)
SELECT min(r.ord) AS ord FROM r JOIN ins USING (tenant, id) GROUP BY tenant, id;

-- name: approval_vote
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::timestamptz[])
        AS r(ord, tenant, approval_id, person, decision, comment, at)
), ins AS (
    INSERT INTO approval_votes (tenant, approval_id, person, decision, comment, at)
    SELECT tenant, approval_id, person, decision, comment, at FROM r ORDER BY ord
    ON CONFLICT DO NOTHING
    RETURNING tenant, approval_id, person
)
SELECT min(r.ord) AS ord FROM r JOIN ins USING (tenant, approval_id, person) GROUP BY tenant, approval_id, person;

-- name: approval_edit
UPDATE approvals a SET edited = r.edited::jsonb, edited_hash = r.hash
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[]) AS r(ord, tenant, id, edited, hash)
WHERE a.tenant = r.tenant AND a.id = r.id AND a.state = 'Pending'
RETURNING r.ord;

-- name: approval_update
UPDATE approvals a SET
    state = r.state, requirements = r.requirements::jsonb, version = a.version + 1, expires_at = r.expires_at,
    reason = r.reason, decided_at = CASE WHEN r.state = 'Pending' THEN NULL ELSE r.at END
FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::timestamptz[], $8::text[],
            $9::timestamptz[])
    AS r(ord, tenant, id, version, state, requirements, expires_at, reason, at)
WHERE a.tenant = r.tenant AND a.id = r.id AND a.version = r.version AND a.state = 'Pending'
RETURNING r.ord;
