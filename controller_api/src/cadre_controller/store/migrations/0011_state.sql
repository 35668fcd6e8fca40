-- Locked while a scope is written, so that quota and order of changes are exact with several controllers.
CREATE TABLE state_scopes (
    tenant  text NOT NULL,
    scope   text NOT NULL,
    PRIMARY KEY (tenant, scope)
);

CREATE SEQUENCE state_seq;
-- A removed key stays as a mark for those who watch; its version goes on when it is written again.
CREATE TABLE state_entries (
    tenant      text NOT NULL,
    scope       text NOT NULL,
    key         text NOT NULL COLLATE "C",
    version     bigint NOT NULL,
    seq         bigint NOT NULL,
    value       text NOT NULL,
    deleted     boolean NOT NULL,
    author      text NOT NULL,
    updated_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, scope, key)
);
CREATE INDEX state_changes ON state_entries (tenant, scope, seq);

CREATE TABLE state_history (LIKE state_entries, PRIMARY KEY (tenant, scope, key, version));

SELECT tenant_wall(relation) FROM unnest(ARRAY['state_scopes', 'state_entries', 'state_history']) AS r(relation);
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cadre_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON state_scopes, state_entries, state_history TO cadre_app;
        GRANT USAGE ON SEQUENCE state_seq TO cadre_app;
    END IF;
END
$$;
