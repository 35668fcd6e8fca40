-- name: execution_get
SELECT * FROM executions WHERE tenant = $1 AND id = $2;

-- name: execution_list
SELECT * FROM executions
WHERE tenant = $1 AND ($2 = '' OR state = $2) AND ($3 = '' OR workflow = $3) AND ($4 = '' OR requester = $4)
  AND ($5 = '' OR (created_at, id) < (SELECT c.created_at, c.id FROM executions c WHERE c.tenant = $1 AND c.id = $5))
ORDER BY created_at DESC, id DESC LIMIT $6;

-- name: execution_steps
SELECT * FROM execution_steps WHERE tenant = $1 AND execution_id = $2 ORDER BY started_at, round, name, item;

-- name: executions_due
-- Runs with something to do: never looked at, time is up, or a task, approval or run that a step waits for has ended.
SELECT e.tenant, e.id FROM executions e
WHERE e.state IN ('Running', 'Stopping') AND (
    e.poked OR e.due_at <= $1 OR EXISTS (
        SELECT FROM execution_steps s
        LEFT JOIN tasks t ON t.tenant = s.tenant AND t.id = s.ref
        LEFT JOIN approvals a ON a.tenant = s.tenant AND a.id = s.ref
        LEFT JOIN executions c ON c.tenant = s.tenant AND c.id = s.ref
        LEFT JOIN workflow_requests q ON q.tenant = s.tenant AND q.id = s.ref
        WHERE s.tenant = e.tenant AND s.execution_id = e.id AND s.round <= e.round AND s.current AND s.state = 'Running'
          AND (s.kind = 'task' AND (t.id IS NULL OR t.state IN ('Succeeded', 'Failed', 'Cancelled', 'Dead'))
               OR s.kind = 'approval' AND a.state <> 'Pending'
               OR s.kind = 'http' AND q.state = 'Ended'
               OR s.kind = 'workflow' AND c.state IN ('Succeeded', 'Failed', 'Cancelled'))))
ORDER BY e.due_at NULLS FIRST, e.id LIMIT 200;

-- name: execution_ready
-- Whether one run has something to do.
SELECT e.id FROM executions e
WHERE e.tenant = $1 AND e.id = $2 AND e.state IN ('Running', 'Stopping') AND (
    e.poked OR e.due_at <= $3 OR EXISTS (
        SELECT FROM execution_steps s
        LEFT JOIN tasks t ON t.tenant = s.tenant AND t.id = s.ref
        LEFT JOIN approvals a ON a.tenant = s.tenant AND a.id = s.ref
        LEFT JOIN executions c ON c.tenant = s.tenant AND c.id = s.ref
        LEFT JOIN workflow_requests q ON q.tenant = s.tenant AND q.id = s.ref
        WHERE s.tenant = e.tenant AND s.execution_id = e.id AND s.round <= e.round AND s.current AND s.state = 'Running'
          AND (s.kind = 'task' AND (t.id IS NULL OR t.state IN ('Succeeded', 'Failed', 'Cancelled', 'Dead'))
               OR s.kind = 'approval' AND a.state <> 'Pending'
               OR s.kind = 'http' AND q.state = 'Ended'
               OR s.kind = 'workflow' AND c.state IN ('Succeeded', 'Failed', 'Cancelled'))));

-- name: request_get
SELECT * FROM workflow_requests WHERE tenant = $1 AND id = $2;

-- name: requests_due
-- To be sent, or cut while they were: their time to be recorded is over.
SELECT * FROM workflow_requests WHERE state <> 'Ended' AND due_at <= $1 ORDER BY due_at, id LIMIT 200;
