-- name: state_get
SELECT * FROM state_entries WHERE tenant = $1 AND scope = $2 AND key = $3 AND NOT deleted;

-- name: state_head
SELECT coalesce(max(seq), 0) AS seq FROM state_entries WHERE tenant = $1 AND scope = $2;

-- name: state_list
SELECT * FROM state_entries
WHERE tenant = $1 AND scope = $2 AND NOT deleted AND starts_with(key, $3) AND ($4 = '' OR key > $4)
ORDER BY key LIMIT $5;

-- name: state_changes
SELECT * FROM state_entries WHERE tenant = $1 AND scope = $2 AND starts_with(key, $3) AND seq > $4 ORDER BY seq LIMIT $5;

-- name: state_history
SELECT * FROM state_history WHERE tenant = $1 AND scope = $2 AND key = $3 ORDER BY version DESC;

-- name: state_forget
-- Marks of removed keys, and the state of sessions that nobody has touched for long.
WITH gone AS (
    DELETE FROM state_entries WHERE (deleted AND updated_at < $1) OR (scope LIKE 'session:%' AND updated_at < $2)
    RETURNING tenant, scope, key
), history AS (
    DELETE FROM state_history h USING gone g WHERE h.tenant = g.tenant AND h.scope = g.scope AND h.key = g.key
)
SELECT key FROM gone;
