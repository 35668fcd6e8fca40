-- Stop: what is frozen now. Who froze and thawed when is in the audit.
CREATE TABLE freezes (
    tenant       text NOT NULL,
    scope        text NOT NULL CHECK (scope IN ('Tenant', 'Node', 'Agent')),
    target       text NOT NULL,
    source       text NOT NULL CHECK (source IN ('Person', 'Resource')),
    reason       text NOT NULL,
    rank         text NOT NULL,
    frozen_by    text NOT NULL,
    frozen_at    timestamptz NOT NULL,
    break_glass  boolean NOT NULL,
    PRIMARY KEY (tenant, scope, target, source)
);

ALTER TABLE freezes ENABLE ROW LEVEL SECURITY;
ALTER TABLE freezes FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_wall ON freezes
    USING (tenant = ANY (string_to_array(current_setting('cadre.tenants', true), ',')));

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cadre_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON freezes TO cadre_app;
    END IF;
END
$$;
