-- A session keeps the version of the token key that it began with; empty = it has no token yet.
ALTER TABLE sessions ADD COLUMN token_version text NOT NULL DEFAULT '';

-- Later token keys, sealed under the tenant's map key; version 1 is the keystore's own.
CREATE TABLE token_keys (
    tenant      text NOT NULL,
    version     text NOT NULL,
    sealed      bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, version)
);

-- What a person ruled about a value: that it is no finding, or that it is one. The value is sealed.
CREATE TABLE finding_rulings (
    tenant       text NOT NULL,
    id           text NOT NULL,
    ruling       text NOT NULL CHECK (ruling IN ('Release', 'Add')),
    scope        text NOT NULL CHECK (scope IN ('Tenant', 'Node', 'Agent')),
    target       text NOT NULL,
    entity_type  text NOT NULL,
    sealed       bytea NOT NULL,
    actor        text NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX finding_rulings_expiry ON finding_rulings (expires_at);

DO $$
DECLARE
    relation text;
BEGIN
    FOREACH relation IN ARRAY ARRAY['token_keys', 'finding_rulings'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', relation);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relation);
        EXECUTE format('CREATE POLICY tenant_wall ON %I USING (tenant = ANY '
                       '(string_to_array(current_setting(''cadre.tenants'', true), '','')))', relation);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cadre_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON token_keys, finding_rulings TO cadre_app;
    END IF;
END
$$;
