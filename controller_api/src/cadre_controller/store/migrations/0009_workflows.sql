-- A run of a workflow, with the definition it began with; what the chart says later is for later runs.
CREATE TABLE executions (
    tenant      text NOT NULL,
    id          text NOT NULL,
    workflow    text NOT NULL,
    sealed      bytea NOT NULL,
    params      jsonb NOT NULL,
    requester   text NOT NULL,
    person      text NOT NULL,
    session_id  text NOT NULL,
    parent_id   text NOT NULL DEFAULT '',
    state       text NOT NULL CHECK (state IN ('Running', 'Stopping', 'Succeeded', 'Failed', 'Cancelled')),
    reason      text NOT NULL DEFAULT '',
    result      jsonb,
    cancelled   boolean NOT NULL DEFAULT false,
    poked       boolean NOT NULL DEFAULT true,
    round       int NOT NULL DEFAULT 1,
    version     int NOT NULL DEFAULT 1,
    due_at      timestamptz,
    created_at  timestamptz NOT NULL,
    ended_at    timestamptz,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX executions_open ON executions (tenant, due_at) WHERE state IN ('Running', 'Stopping');
CREATE INDEX executions_newest ON executions (tenant, created_at DESC, id DESC);

-- What each step gave, once per round; a repeated step keeps the rows of earlier rounds as history.
CREATE TABLE execution_steps (
    tenant        text NOT NULL,
    execution_id  text NOT NULL,
    round         int NOT NULL,
    name          text NOT NULL,
    item          int NOT NULL,
    kind          text NOT NULL,
    state         text NOT NULL CHECK (state IN ('Running', 'Succeeded', 'Failed', 'Skipped', 'Cancelled')),
    ref           text NOT NULL DEFAULT '',
    result        jsonb,
    reason        text NOT NULL DEFAULT '',
    message       text NOT NULL DEFAULT '',
    current       boolean NOT NULL DEFAULT true,
    due_at        timestamptz,
    started_at    timestamptz NOT NULL,
    ended_at      timestamptz,
    PRIMARY KEY (tenant, execution_id, round, name, item)
);
CREATE INDEX execution_steps_open ON execution_steps (tenant, ref) WHERE state = 'Running';

SELECT tenant_wall(relation) FROM unnest(ARRAY['executions', 'execution_steps']) AS r(relation);
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cadre_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON executions, execution_steps TO cadre_app;
    END IF;
END
$$;
