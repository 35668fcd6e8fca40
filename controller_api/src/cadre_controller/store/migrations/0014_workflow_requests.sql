-- What an http step sends, from the commit that begins the step until its outcome is recorded, once. Whoever sends
-- says so first: a request that was Sending when its time ran out may have been carried out.
CREATE TABLE workflow_requests (
    tenant        text NOT NULL,
    id            text NOT NULL,
    execution_id  text NOT NULL,
    session_id    text NOT NULL,
    sealed        bytea NOT NULL,
    repeatable    boolean NOT NULL,
    most          int NOT NULL,
    attempts      int NOT NULL DEFAULT 0,
    state         text NOT NULL DEFAULT 'Ready' CHECK (state IN ('Ready', 'Sending', 'Ended')),
    stopped       boolean NOT NULL DEFAULT false,
    due_at        timestamptz NOT NULL,
    outcome       text NOT NULL DEFAULT '' CHECK (outcome IN ('', 'Succeeded', 'Failed', 'Cancelled')),
    result        jsonb,
    reason        text NOT NULL DEFAULT '',
    message       text NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX workflow_requests_due ON workflow_requests (due_at) WHERE state <> 'Ended';
CREATE INDEX workflow_requests_of ON workflow_requests (tenant, execution_id);

SELECT tenant_wall('workflow_requests');
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cadre_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON workflow_requests TO cadre_app;
    END IF;
END
$$;
