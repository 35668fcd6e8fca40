-- name: transcripts_forget
-- What was said in tasks that ended long enough ago for their agent ($2, $3; others: $4): prompt, answer, story, shards.
WITH due AS (
    SELECT t.id, t.updated_at, t.session_id FROM task_history t
    LEFT JOIN unnest($2::text[], $3::timestamptz[]) AS r(agent, before) ON r.agent = t.agent
    WHERE t.tenant = $1 AND (t.prompt <> '' OR t.result <> '') AND t.updated_at < coalesce(r.before, $4)
    ORDER BY t.updated_at LIMIT $5
), told AS (
    DELETE FROM task_events e USING due WHERE e.tenant = $1 AND e.task_id = due.id
), shown AS (
    DELETE FROM shards s USING due WHERE s.tenant = $1 AND s.session_id = due.session_id AND NOT EXISTS (
        SELECT FROM all_tasks o
        WHERE o.tenant = $1 AND o.session_id = due.session_id AND o.updated_at > due.updated_at AND o.prompt <> '')
)
UPDATE task_history t SET prompt = '', context = '{}', result = '', message = ''
FROM due WHERE t.tenant = $1 AND t.id = due.id AND t.updated_at = due.updated_at
RETURNING t.id;

-- name: executions_forget
-- Runs that ended before $2, with their steps; the part of a run stays as long as the run.
WITH gone AS (
    DELETE FROM executions e
    WHERE e.tenant = $1 AND e.created_at < $2 AND e.ended_at < $2 AND NOT EXISTS (
        SELECT FROM executions p
        WHERE p.tenant = e.tenant AND p.id = e.parent_id AND (p.ended_at IS NULL OR p.ended_at >= $2))
    RETURNING e.id
), steps AS (
    DELETE FROM execution_steps s USING gone WHERE s.tenant = $1 AND s.execution_id = gone.id
), requests AS (
    DELETE FROM workflow_requests q USING gone WHERE q.tenant = $1 AND q.execution_id = gone.id
)
SELECT id FROM gone;
