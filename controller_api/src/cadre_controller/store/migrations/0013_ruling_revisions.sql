-- How often what is ruled about findings has changed: bundles are numbered by it.
CREATE TABLE ruling_revisions (
    tenant    text PRIMARY KEY,
    revision  bigint NOT NULL
);

ALTER TABLE ruling_revisions ENABLE ROW LEVEL SECURITY;
ALTER TABLE ruling_revisions FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_wall ON ruling_revisions
    USING (tenant = ANY (string_to_array(current_setting('cadre.tenants', true), ',')));

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cadre_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON ruling_revisions TO cadre_app;
    END IF;
END
$$;
