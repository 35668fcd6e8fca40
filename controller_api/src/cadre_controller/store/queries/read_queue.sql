-- name: task_past
SELECT * FROM task_history WHERE tenant = $1 AND id = $2;

-- name: dead_letters
SELECT * FROM tasks
WHERE tenant = $1 AND state = 'Dead' AND ($2 = '' OR agent = $2) AND ($3 = '' OR reason = $3)
  AND ($4 = '' OR (updated_at, id) < (SELECT c.updated_at, c.id FROM tasks c WHERE c.tenant = $1 AND c.id = $4))
ORDER BY updated_at DESC, id DESC LIMIT $5;

-- name: group_members
SELECT * FROM tasks WHERE tenant = $1 AND group_id = $2 ORDER BY created_at, id;

-- name: groups_won
SELECT DISTINCT t.tenant, t.group_id FROM tasks t
WHERE t.group_id LIKE 'first\_%' AND t.state IN ('Held', 'Queued', 'Running', 'Waiting')
  AND EXISTS (SELECT FROM tasks d WHERE d.tenant = t.tenant AND d.group_id = t.group_id AND d.state = 'Succeeded')
LIMIT 100;

-- name: schedule_get
SELECT * FROM schedules WHERE tenant = $1 AND id = $2;

-- name: schedule_list
SELECT * FROM schedules
WHERE tenant = $1 AND ($2 = '' OR (created_at, id) < (SELECT c.created_at, c.id FROM schedules c
                                                      WHERE c.tenant = $1 AND c.id = $2))
ORDER BY created_at DESC, id DESC LIMIT $3;

-- name: schedules_due
SELECT * FROM schedules WHERE state = 'Active' AND next_at <= $1 ORDER BY next_at LIMIT 100;

-- name: history_month
SELECT history_month(($1::timestamptz AT TIME ZONE 'UTC')::date) AS made;

-- name: history_forget
SELECT history_forget(($1::timestamptz AT TIME ZONE 'UTC')::date) AS dropped;

-- name: history_move
-- A tree of tasks moves as a whole, once all of it has ended; dead letters stay until somebody decides about them.
WITH gone AS (
    DELETE FROM tasks t USING (
        SELECT e.tenant, e.id FROM tasks e
        WHERE e.state IN ('Succeeded', 'Failed', 'Cancelled', 'Dead') AND e.updated_at < $1
          AND (e.state <> 'Dead' OR e.updated_at < $2) AND NOT EXISTS (
            SELECT FROM tasks o WHERE o.tenant = e.tenant AND o.root_task_id = e.root_task_id
              AND o.state NOT IN ('Succeeded', 'Failed', 'Cancelled', 'Dead'))
        ORDER BY e.updated_at LIMIT $3
    ) e
    WHERE t.tenant = e.tenant AND t.id = e.id
    RETURNING t.*
)
INSERT INTO task_history SELECT * FROM gone RETURNING id;
