-- name: permit_usable
SELECT id FROM permits
WHERE tenant = $1 AND agent = $2 AND tool = $3 AND session_id IN ('', $4) AND rules @> $5::text[] AND uses_left > 0
  AND expires_at > $6 AND revoked_at IS NULL AND person = ANY ($7::text[])
ORDER BY expires_at, id LIMIT 1;

-- name: permit_list
SELECT * FROM permits
WHERE tenant = $1 AND uses_left > 0 AND expires_at > $2 AND revoked_at IS NULL ORDER BY created_at DESC, id DESC LIMIT 500;

-- name: approvals_unreminded
SELECT a.*, '[]'::jsonb AS votes FROM approvals a
WHERE a.state = 'Pending' AND coalesce(a.remind_at, a.requested_at) <= $1 ORDER BY a.requested_at LIMIT 200;

-- name: notifications_due
SELECT * FROM notifications
WHERE sent_at IS NULL AND failed_at IS NULL AND due_at <= $1 AND kind = $2 ORDER BY due_at LIMIT 50;

-- name: link_find
SELECT approval_id FROM approval_links
WHERE tenant = $1 AND hash = $2 AND person = $3 AND used_at IS NULL AND expires_at > $4;
