-- name: message_get
SELECT * FROM messages WHERE tenant = $1 AND id = $2;

-- name: messages_due
-- In order between each two parties: what follows waits for what is under way or put off.
SELECT m.* FROM messages m
WHERE m.tenant = $1 AND m.receiver = $2 AND m.state = 'Pending' AND m.available_at <= $3 AND m.expires_at > $3
  AND NOT EXISTS (
    SELECT FROM messages e
    WHERE e.tenant = m.tenant AND e.receiver = m.receiver AND e.sender = m.sender AND e.seq < m.seq
      AND (e.state = 'Delivered' OR (e.state = 'Pending' AND e.available_at > $3)))
ORDER BY m.seq LIMIT $4;

-- name: messages_carried
SELECT * FROM messages WHERE tenant = $1 AND carrier = ANY ($2::text[]) AND carrier <> '' AND state = 'Delivered'
ORDER BY seq;

-- name: messages_inbox
SELECT * FROM messages
WHERE tenant = $1 AND receiver = $2 AND ($3 = '' OR state = $3) AND ($4 = '' OR topic = $4) AND ($5 = '' OR sender = $5)
  AND ($6 = '' OR seq < (SELECT c.seq FROM messages c WHERE c.tenant = $1 AND c.id = $6))
ORDER BY seq DESC LIMIT $7;

-- name: messages_dead
SELECT * FROM messages
WHERE tenant = $1 AND state = 'Dead' AND ($2 = '' OR seq < (SELECT c.seq FROM messages c WHERE c.tenant = $1 AND c.id = $2))
ORDER BY seq DESC LIMIT $3;

-- name: messages_waiting
SELECT count(*) AS count FROM messages WHERE tenant = $1 AND receiver = $2 AND state IN ('Pending', 'Delivered');

-- name: messages_lapsed
SELECT * FROM messages
WHERE (state = 'Delivered' AND lease_until <= $1) OR (state IN ('Pending', 'Delivered') AND expires_at <= $1)
ORDER BY seq LIMIT 500;

-- name: messages_forget
DELETE FROM messages WHERE state = 'Acked' AND ended_at < $1 RETURNING id;

-- name: subscribers
SELECT receiver FROM subscriptions WHERE tenant = $1 AND topic = $2 ORDER BY receiver;

-- name: subscriptions_of
SELECT topic FROM subscriptions WHERE tenant = $1 AND receiver = $2 ORDER BY topic;
