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

-- name: token_key_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::bytea[], $5::timestamptz[])
        AS r(ord, tenant, version, sealed, at)
), ins AS (
    INSERT INTO token_keys (tenant, version, sealed, created_at)
    SELECT DISTINCT ON (tenant, version) tenant, version, sealed, at FROM r ORDER BY tenant, version, ord
    ON CONFLICT DO NOTHING
    RETURNING tenant, version
)
SELECT min(r.ord) AS ord FROM r JOIN ins USING (tenant, version) GROUP BY tenant, version;

-- name: ruling_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[],
                         $9::text[], $10::timestamptz[], $11::timestamptz[])
        AS r(ord, tenant, id, ruling, scope, target, entity_type, sealed, actor, at, expires_at)
), ins AS (
    INSERT INTO finding_rulings
        (tenant, id, ruling, scope, target, entity_type, sealed, actor, created_at, expires_at)
    SELECT tenant, id, ruling, scope, target, entity_type, sealed, actor, at, expires_at FROM r
    ON CONFLICT DO NOTHING
    RETURNING tenant, id
)
SELECT min(r.ord) AS ord FROM r JOIN ins USING (tenant, id) GROUP BY tenant, id;

-- name: ruling_delete
DELETE FROM finding_rulings f
USING unnest($1::int[], $2::text[], $3::text[]) AS r(ord, tenant, id)
WHERE f.tenant = r.tenant AND f.id = r.id
RETURNING r.ord;

-- name: ruling_revise
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[]) AS r(ord, tenant)
), ins AS (
    INSERT INTO ruling_revisions AS v (tenant, revision)
    SELECT tenant, count(*) FROM r GROUP BY tenant
    ON CONFLICT (tenant) DO UPDATE SET revision = v.revision + excluded.revision
    RETURNING tenant
)
SELECT r.ord FROM r JOIN ins USING (tenant);
