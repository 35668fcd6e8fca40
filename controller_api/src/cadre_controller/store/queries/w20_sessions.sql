-- name: session_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
        AS r(ord, tenant, id, created_by, parent_session_id, at)
), ins AS (
    INSERT INTO sessions (tenant, id, created_by, parent_session_id, created_at)
    SELECT tenant, id, created_by, parent_session_id, at FROM r
    ON CONFLICT DO NOTHING
    RETURNING tenant, id
)
SELECT min(r.ord) AS ord FROM r JOIN ins USING (tenant, id) GROUP BY tenant, id;

-- name: participant_put
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
        AS r(ord, tenant, session_id, participant, at)
), ins AS (
    INSERT INTO session_participants (tenant, session_id, participant, joined_at)
    SELECT DISTINCT ON (tenant, session_id, participant) tenant, session_id, participant, at FROM r
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT r.ord FROM r;

-- name: shard_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                         $9::timestamptz[])
        AS r(ord, tenant, id, session_id, author, data_class, body, hash, at)
), ins AS (
    INSERT INTO shards (tenant, id, session_id, author, data_class, body, hash, created_at)
    SELECT r.tenant, r.id, r.session_id, r.author, r.data_class, r.body, r.hash, r.at FROM r ORDER BY ord
    ON CONFLICT DO NOTHING
    RETURNING tenant, id
)
SELECT min(r.ord) AS ord FROM r JOIN ins USING (tenant, id) GROUP BY tenant, id;
