-- name: tenant_ensure
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[]) AS r(ord, tenant)
), ins AS (
    INSERT INTO tenants (tenant) SELECT DISTINCT tenant FROM r ON CONFLICT DO NOTHING RETURNING tenant
)
SELECT r.ord FROM r;

-- name: chart_object_delete
DELETE FROM chart_objects o USING unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS r(ord, tenant, kind, key)
WHERE o.tenant = r.tenant AND o.kind = r.kind AND o.key = r.key
RETURNING r.ord;

-- name: chart_object_put
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bytea[])
        AS r(ord, tenant, kind, key, file, document, sealed)
), ins AS (
    INSERT INTO chart_objects (tenant, kind, key, file, document, sealed)
    SELECT tenant, kind, key, file, document::jsonb, sealed FROM r
    ON CONFLICT (tenant, kind, key) DO UPDATE
        SET file = excluded.file, document = excluded.document, sealed = excluded.sealed
    RETURNING tenant, kind, key
)
SELECT r.ord FROM r JOIN ins USING (tenant, kind, key);

-- name: snapshot_insert
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::timestamptz[])
        AS r(ord, tenant, generation, revision, applied_by, applied_at)
), ins AS (
    INSERT INTO snapshots (tenant, generation, revision, applied_by, applied_at)
    SELECT tenant, generation, revision, applied_by, applied_at FROM r
    ON CONFLICT DO NOTHING
    RETURNING tenant, generation
)
SELECT min(r.ord) AS ord FROM r JOIN ins USING (tenant, generation) GROUP BY tenant, generation;

-- name: bundle_put
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::bigint[], $5::text[])
        AS r(ord, tenant, agent, generation, digest)
), ins AS (
    INSERT INTO agent_bundles (tenant, agent, generation, digest)
    SELECT tenant, agent, generation, digest FROM r
    ON CONFLICT (tenant, agent) DO UPDATE SET generation = excluded.generation, digest = excluded.digest
    RETURNING tenant, agent
)
SELECT r.ord FROM r JOIN ins USING (tenant, agent);

-- name: instance_retire
UPDATE instances i SET active = false
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[]) AS r(ord, tenant, agent, instance, replica)
WHERE i.tenant = r.tenant AND i.agent = r.agent AND i.replica = r.replica AND i.instance <> r.instance AND i.active
RETURNING r.ord;

-- name: instance_put
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
        AS r(ord, tenant, agent, instance, replica, at)
), ins AS (
    INSERT INTO instances (tenant, agent, instance, replica, active, registered_at)
    SELECT tenant, agent, instance, replica, true, at FROM r
    ON CONFLICT DO NOTHING
    RETURNING tenant, agent, instance
)
SELECT r.ord FROM r JOIN ins USING (tenant, agent, instance);

-- name: agent_live_put
WITH r AS (
    SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                         $8::text[], $9::bigint[], $10::text[], $11::timestamptz[])
        AS r(ord, tenant, agent, instance, replica, state, agent_version, boundary, generation, reason, at)
), ins AS (
    INSERT INTO agents_live
        (tenant, agent, instance, replica, state, agent_version, boundary, bundle_generation, reason, seen_at)
    SELECT tenant, agent, instance, replica, state, agent_version, boundary::jsonb, generation, reason, at FROM r
    ON CONFLICT (tenant, agent, replica) DO UPDATE SET
        instance = excluded.instance, state = excluded.state, agent_version = excluded.agent_version,
        boundary = excluded.boundary, bundle_generation = excluded.bundle_generation, reason = excluded.reason,
        seen_at = excluded.seen_at
    RETURNING tenant, agent, replica
)
SELECT r.ord FROM r JOIN ins USING (tenant, agent, replica);

-- name: agent_acked
UPDATE agents_live a SET bundle_generation = r.generation, bundle_digest = r.digest, reason = r.reason
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::text[])
    AS r(ord, tenant, agent, replica, generation, digest, reason)
WHERE a.tenant = r.tenant AND a.agent = r.agent AND a.replica = r.replica
RETURNING r.ord;
