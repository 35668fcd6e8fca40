-- name: state_lock
INSERT INTO state_scopes (tenant, scope)
SELECT DISTINCT tenant, scope FROM unnest($1::int[], $2::text[], $3::text[]) AS r(ord, tenant, scope)
ORDER BY tenant, scope
ON CONFLICT (tenant, scope) DO UPDATE SET scope = excluded.scope
RETURNING 0 AS ord;

-- name: state_put
-- Two writes of one scope never share a flush, and the scope is locked: what is read here holds until the commit.
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::boolean[],
                         $8::text[], $9::timestamptz[], $10::int[], $11::bigint[], $12::int[])
        AS r(ord, tenant, scope, key, expected, value, deleted, author, at, most_keys, most_chars, most_versions)
), used AS (
    SELECT r.tenant, r.scope, count(e.key) FILTER (WHERE NOT e.deleted) AS keys, coalesce(sum(length(e.value)), 0) AS chars
    FROM r LEFT JOIN state_entries e ON e.tenant = r.tenant AND e.scope = r.scope
    GROUP BY r.tenant, r.scope
), known AS (
    SELECT r.*, coalesce(e.version, 0) AS had, coalesce(e.deleted, true) AS gone, coalesce(length(e.value), 0) AS was
    FROM r LEFT JOIN state_entries e ON e.tenant = r.tenant AND e.scope = r.scope AND e.key = r.key
), fit AS (
    SELECT k.* FROM known k JOIN used u USING (tenant, scope)
    WHERE k.expected IN (-1, CASE WHEN k.gone THEN 0 ELSE k.had END)
      AND CASE WHEN k.deleted THEN NOT k.gone
          ELSE u.keys + k.gone::int <= k.most_keys AND u.chars - k.was + length(k.value) <= k.most_chars END
), put AS (
    INSERT INTO state_entries AS s (tenant, scope, key, version, seq, value, deleted, author, updated_at)
    SELECT tenant, scope, key, had + 1, nextval('state_seq'), value, deleted, author, at FROM fit
    ON CONFLICT (tenant, scope, key) DO UPDATE SET
        version = excluded.version, seq = excluded.seq, value = excluded.value, deleted = excluded.deleted,
        author = excluded.author, updated_at = excluded.updated_at
    RETURNING s.*
), kept AS (
    INSERT INTO state_history SELECT * FROM put
), trimmed AS (
    DELETE FROM state_history h USING put p JOIN r USING (tenant, scope, key)
    WHERE h.tenant = p.tenant AND h.scope = p.scope AND h.key = p.key AND h.version <= p.version - r.most_versions
)
SELECT r.ord, put.version, put.seq FROM r JOIN put USING (tenant, scope, key);
