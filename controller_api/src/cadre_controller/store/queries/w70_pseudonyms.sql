-- name: pseudonym_put
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[],
                         $8::timestamptz[])
        AS r(ord, tenant, token, entity_type, data_class, sealed, key_version, expires_at)
), ins AS (
    INSERT INTO pseudonyms (tenant, token, entity_type, data_class, sealed, key_version, expires_at)
    SELECT DISTINCT ON (tenant, token) tenant, token, entity_type, data_class, sealed, key_version, expires_at
    FROM r ORDER BY tenant, token, ord
    ON CONFLICT (tenant, token) DO UPDATE SET expires_at = greatest(pseudonyms.expires_at, excluded.expires_at)
    RETURNING 1
)
SELECT r.ord FROM r;

-- name: grant_put
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS r(ord, tenant, session_id, token)
), ins AS (
    INSERT INTO pseudonym_grants (tenant, session_id, token)
    SELECT DISTINCT tenant, session_id, token FROM r
    ORDER BY tenant, session_id, token
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT r.ord FROM r;
