-- name: request_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::boolean[], $8::int[],
                         $9::timestamptz[])
        AS r(ord, tenant, id, execution_id, session_id, sealed, repeatable, most, at)
), ins AS (
    INSERT INTO workflow_requests (tenant, id, execution_id, session_id, sealed, repeatable, most, due_at, created_at)
    SELECT tenant, id, execution_id, session_id, sealed, repeatable, most, at, at FROM r
    ON CONFLICT DO NOTHING
    RETURNING tenant, id
)
SELECT r.ord FROM r JOIN ins USING (tenant, id);

-- name: request_claim
-- Only one sends; an attempt that was cut counts as one.
UPDATE workflow_requests q SET state = 'Sending', attempts = q.attempts + 1, due_at = r.until
FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::timestamptz[]) AS r(ord, tenant, id, attempts, until)
WHERE q.tenant = r.tenant AND q.id = r.id AND q.attempts = r.attempts AND q.state <> 'Ended'
RETURNING r.ord;

-- name: request_again
UPDATE workflow_requests q SET state = 'Ready', due_at = r.due_at, reason = r.reason, message = r.message
FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::timestamptz[], $6::text[], $7::text[])
    AS r(ord, tenant, id, attempts, due_at, reason, message)
WHERE q.tenant = r.tenant AND q.id = r.id AND q.attempts = r.attempts AND q.state = 'Sending' AND NOT q.stopped
RETURNING r.ord;

-- name: request_end
UPDATE workflow_requests q SET
    state = 'Ended', outcome = r.outcome, result = r.result::jsonb, reason = r.reason, message = r.message, sealed = '',
    ended_at = r.at
FROM unnest($1::int[], $2::text[], $3::text[], $4::int[], $5::text[], $6::text[], $7::text[], $8::text[],
            $9::timestamptz[])
    AS r(ord, tenant, id, attempts, outcome, result, reason, message, at)
WHERE q.tenant = r.tenant AND q.id = r.id AND q.attempts = r.attempts AND q.state <> 'Ended'
RETURNING r.ord;

-- name: request_stop
-- What is being sent ends by itself, and says truly how.
UPDATE workflow_requests q SET
    stopped = true,
    state = CASE WHEN q.state = 'Ready' THEN 'Ended' ELSE q.state END,
    outcome = CASE WHEN q.state = 'Ready' THEN 'Cancelled' ELSE q.outcome END,
    reason = CASE WHEN q.state = 'Ready' THEN 'RunStopped' ELSE q.reason END,
    sealed = CASE WHEN q.state = 'Ready' THEN '' ELSE q.sealed END,
    ended_at = CASE WHEN q.state = 'Ready' THEN r.at END
FROM unnest($1::int[], $2::text[], $3::text[], $4::timestamptz[]) AS r(ord, tenant, id, at)
WHERE q.tenant = r.tenant AND q.id = r.id AND q.state <> 'Ended'
RETURNING r.ord;
