CREATE TABLE tenants (
    tenant      text PRIMARY KEY,
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- One row per committed flush: tells a committer that lost its connection during COMMIT whether it had committed.
CREATE TABLE flushes (
    id  text PRIMARY KEY,
    at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE chart_objects (
    tenant    text NOT NULL,
    kind      text NOT NULL,
    key       text NOT NULL,
    file      text NOT NULL DEFAULT '',
    document  jsonb,
    sealed    bytea,
    PRIMARY KEY (tenant, kind, key),
    CHECK ((document IS NULL) <> (sealed IS NULL))
);

CREATE TABLE snapshots (
    tenant      text NOT NULL,
    generation  bigint NOT NULL,
    revision    text NOT NULL,
    applied_by  text NOT NULL,
    applied_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, generation)
);

CREATE TABLE agent_bundles (
    tenant      text NOT NULL,
    agent       text NOT NULL,
    generation  bigint NOT NULL,
    digest      text NOT NULL,
    PRIMARY KEY (tenant, agent)
);

CREATE TABLE instances (
    tenant         text NOT NULL,
    agent          text NOT NULL,
    instance       text NOT NULL,
    active         boolean NOT NULL,
    registered_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, agent, instance)
);

CREATE TABLE agents_live (
    tenant             text NOT NULL,
    agent              text NOT NULL,
    instance           text NOT NULL,
    state              text NOT NULL DEFAULT 'Starting',
    agent_version      text NOT NULL DEFAULT '',
    boundary           jsonb NOT NULL DEFAULT '{}',
    bundle_generation  bigint NOT NULL DEFAULT 0,
    bundle_digest      text NOT NULL DEFAULT '',
    reason             text NOT NULL DEFAULT '',
    seen_at            timestamptz NOT NULL,
    PRIMARY KEY (tenant, agent)
);

CREATE TABLE sessions (
    tenant             text NOT NULL,
    id                 text NOT NULL,
    state              text NOT NULL DEFAULT 'Open',
    created_by         text NOT NULL,
    parent_session_id  text NOT NULL DEFAULT '',
    created_at         timestamptz NOT NULL,
    PRIMARY KEY (tenant, id)
);

CREATE TABLE session_participants (
    tenant       text NOT NULL,
    session_id   text NOT NULL,
    participant  text NOT NULL,
    joined_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant, session_id, participant)
);

CREATE TABLE shards (
    tenant      text NOT NULL,
    id          text NOT NULL,
    session_id  text NOT NULL,
    author      text NOT NULL,
    data_class  text NOT NULL,
    body        text NOT NULL,
    hash        text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX shards_session ON shards (tenant, session_id, created_at);

CREATE TABLE tasks (
    tenant            text NOT NULL,
    id                text NOT NULL,
    state             text NOT NULL CHECK (state IN ('Queued', 'Running', 'Waiting', 'Succeeded', 'Failed',
                                                      'Cancelled', 'Dead', 'OutcomeUnknown')),
    agent             text NOT NULL,
    requester         text NOT NULL,
    session_id        text NOT NULL,
    parent_task_id    text NOT NULL DEFAULT '',
    root_task_id      text NOT NULL,
    depth             int NOT NULL DEFAULT 0,
    prompt            text NOT NULL,
    context           jsonb NOT NULL DEFAULT '{}',
    result            text NOT NULL DEFAULT '',
    reason            text NOT NULL DEFAULT '',
    message           text NOT NULL DEFAULT '',
    attempt           int NOT NULL DEFAULT 0,
    max_attempts      int NOT NULL,
    priority          int NOT NULL,
    fence             bigint NOT NULL DEFAULT 0,
    lease_instance    text NOT NULL DEFAULT '',
    lease_expires_at  timestamptz,
    cancel_pending    boolean NOT NULL DEFAULT false,
    available_at      timestamptz NOT NULL,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    deadline_at       timestamptz NOT NULL,
    trace_id          text NOT NULL DEFAULT '',
    traceparent       text NOT NULL DEFAULT '',
    route             jsonb,
    pending_approval  text NOT NULL DEFAULT '',
    input_tokens      bigint NOT NULL DEFAULT 0,
    output_tokens     bigint NOT NULL DEFAULT 0,
    model_calls       int NOT NULL DEFAULT 0,
    cost              numeric NOT NULL DEFAULT 0,
    currency          text NOT NULL DEFAULT 'USD',
    PRIMARY KEY (tenant, id)
) WITH (fillfactor = 80);
CREATE INDEX tasks_claim ON tasks (tenant, agent, priority DESC, created_at, id) WHERE state = 'Queued';
CREATE INDEX tasks_leased ON tasks (lease_expires_at) WHERE state IN ('Running', 'Waiting');
CREATE INDEX tasks_open ON tasks (deadline_at) WHERE state IN ('Queued', 'Running', 'Waiting');
CREATE INDEX tasks_cancelled ON tasks (tenant, agent, lease_instance) WHERE cancel_pending;
CREATE INDEX tasks_created ON tasks (tenant, created_at DESC, id DESC);
CREATE INDEX tasks_tree ON tasks (tenant, root_task_id);
CREATE INDEX tasks_session ON tasks (tenant, session_id);

CREATE TABLE task_events (
    tenant        text NOT NULL,
    seq           bigint GENERATED ALWAYS AS IDENTITY,
    task_id       text NOT NULL,
    root_task_id  text NOT NULL,
    at            timestamptz NOT NULL,
    kind          text NOT NULL,
    summary       text NOT NULL DEFAULT '',
    data          jsonb NOT NULL DEFAULT '{}',
    duration_ms   double precision,
    PRIMARY KEY (tenant, seq)
);
CREATE INDEX task_events_task ON task_events (tenant, task_id, seq);
CREATE INDEX task_events_tree ON task_events (tenant, root_task_id, seq);

CREATE TABLE idempotency_keys (
    tenant        text NOT NULL,
    scope         text NOT NULL,
    key           text NOT NULL,
    request_hash  text NOT NULL,
    response      jsonb NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant, scope, key)
);

CREATE TABLE approvals (
    tenant          text NOT NULL,
    id              text NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('ToolCall', 'Step', 'OutcomeUnknown')),
    state           text NOT NULL CHECK (state IN ('Pending', 'Approved', 'Denied', 'Expired')),
    session_id      text NOT NULL,
    task_id         text NOT NULL DEFAULT '',
    step_id         text NOT NULL DEFAULT '',
    agent           text NOT NULL DEFAULT '',
    node            text NOT NULL,
    requester       text NOT NULL DEFAULT '',
    tool            text NOT NULL DEFAULT '',
    arguments       jsonb NOT NULL DEFAULT '{}',
    arguments_hash  text NOT NULL DEFAULT '',
    ordinal         int NOT NULL DEFAULT 0,
    requirements    jsonb NOT NULL,
    version         int NOT NULL DEFAULT 0,
    requested_at    timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    decided_at      timestamptz,
    reason          text NOT NULL DEFAULT '',
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX approvals_tool_once ON approvals (tenant, task_id, tool, arguments_hash) WHERE kind = 'ToolCall';
CREATE UNIQUE INDEX approvals_step_once ON approvals (tenant, session_id, step_id) WHERE kind = 'Step';
CREATE INDEX approvals_due ON approvals (expires_at) WHERE state = 'Pending';
CREATE INDEX approvals_listed ON approvals (tenant, requested_at DESC, id DESC);
CREATE INDEX approvals_task ON approvals (tenant, task_id);

CREATE TABLE approval_votes (
    tenant       text NOT NULL,
    approval_id  text NOT NULL,
    person       text NOT NULL,
    decision     text NOT NULL CHECK (decision IN ('Approved', 'Denied')),
    comment      text NOT NULL DEFAULT '',
    at           timestamptz NOT NULL,
    PRIMARY KEY (tenant, approval_id, person)
);

CREATE TABLE tool_intents (
    tenant           text NOT NULL,
    task_id          text NOT NULL,
    tool             text NOT NULL,
    arguments_hash   text NOT NULL,
    ordinal          int NOT NULL,
    state            text NOT NULL CHECK (state IN ('Started', 'Done', 'Approved')),
    owner            text NOT NULL,
    attempt          int NOT NULL,
    tool_call_id     text NOT NULL,
    idempotency_key  text NOT NULL,
    result           jsonb,
    started_at       timestamptz NOT NULL,
    done_at          timestamptz,
    PRIMARY KEY (tenant, task_id, tool, arguments_hash, ordinal)
);

CREATE TABLE pseudonyms (
    tenant       text NOT NULL,
    token        text NOT NULL,
    entity_type  text NOT NULL,
    data_class   text NOT NULL,
    sealed       bytea NOT NULL,
    key_version  text NOT NULL,
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant, token)
);
CREATE INDEX pseudonyms_expiry ON pseudonyms (expires_at);

CREATE TABLE pseudonym_grants (
    tenant      text NOT NULL,
    session_id  text NOT NULL,
    token       text NOT NULL,
    PRIMARY KEY (tenant, session_id, token)
);

CREATE TABLE budgets (
    tenant           text NOT NULL,
    node             text NOT NULL,
    period_start     timestamptz NOT NULL,
    period           text NOT NULL,
    currency         text NOT NULL,
    spent            numeric NOT NULL DEFAULT 0 CHECK (spent >= 0),
    reserved         numeric NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    tokens_spent     bigint NOT NULL DEFAULT 0 CHECK (tokens_spent >= 0),
    tokens_reserved  bigint NOT NULL DEFAULT 0 CHECK (tokens_reserved >= 0),
    PRIMARY KEY (tenant, node, period_start)
);

CREATE TABLE model_calls (
    tenant         text NOT NULL,
    task_id        text NOT NULL,
    call_id        text NOT NULL,
    state          text NOT NULL CHECK (state IN ('Reserved', 'Settled', 'Released')),
    session_id     text NOT NULL,
    agent          text NOT NULL,
    provider       text NOT NULL,
    model          text NOT NULL,
    purpose        text NOT NULL,
    trace_id       text NOT NULL DEFAULT '',
    holds          jsonb NOT NULL,
    amount         numeric NOT NULL,
    tokens         bigint NOT NULL,
    input_tokens   bigint NOT NULL DEFAULT 0,
    output_tokens  bigint NOT NULL DEFAULT 0,
    cost           numeric NOT NULL DEFAULT 0,
    currency       text NOT NULL DEFAULT 'USD',
    latency_ms     double precision NOT NULL DEFAULT 0,
    result         text NOT NULL DEFAULT '',
    reserved_at    timestamptz NOT NULL,
    settled_at     timestamptz,
    PRIMARY KEY (tenant, task_id, call_id)
);
CREATE INDEX model_calls_open ON model_calls (reserved_at) WHERE state = 'Reserved';

CREATE TABLE audit_heads (
    tenant  text PRIMARY KEY,
    seq     bigint NOT NULL,
    hash    text NOT NULL
);

CREATE TABLE audit_events (
    tenant     text NOT NULL,
    seq        bigint NOT NULL,
    event_id   text NOT NULL,
    prev_hash  text NOT NULL,
    hash       text NOT NULL,
    canonical  bytea NOT NULL,
    at         timestamptz NOT NULL,
    actor_id   text NOT NULL,
    action     text NOT NULL,
    target     text NOT NULL,
    result     text NOT NULL,
    trace_id   text NOT NULL,
    PRIMARY KEY (tenant, seq),
    UNIQUE (tenant, prev_hash),
    UNIQUE (tenant, event_id)
);
CREATE INDEX audit_events_action ON audit_events (tenant, action, seq);
CREATE INDEX audit_events_trace ON audit_events (tenant, trace_id, seq) WHERE trace_id <> '';

CREATE TABLE audit_salts (
    tenant    text NOT NULL,
    event_id  text NOT NULL,
    field     text NOT NULL,
    salt      bytea NOT NULL,
    PRIMARY KEY (tenant, event_id, field)
);

CREATE TABLE checkpoints (
    tenant  text NOT NULL,
    seq     bigint NOT NULL,
    jws     text NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (tenant, seq)
);

CREATE TABLE spans (
    tenant      text NOT NULL,
    trace_id    text NOT NULL,
    span_id     text NOT NULL,
    parent_id   text NOT NULL,
    name        text NOT NULL,
    service     text NOT NULL,
    start_at    timestamptz NOT NULL,
    end_at      timestamptz NOT NULL,
    status      text NOT NULL,
    attributes  jsonb NOT NULL,
    PRIMARY KEY (tenant, trace_id, span_id)
);
CREATE INDEX spans_age ON spans (start_at);

-- Second wall: whatever a query forgets, a connection sees only the tenants it was opened for. A superuser is never bound,
-- so one steps down to cadre_app after connecting; an ordinary owner is bound by FORCE.
DO $$
DECLARE
    relation text;
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        PERFORM pg_advisory_xact_lock(7440);
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'cadre_app') THEN
            BEGIN
                CREATE ROLE cadre_app NOLOGIN;
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;
            END;
        END IF;
    END IF;
    FOR relation IN
        SELECT table_name FROM information_schema.columns
        WHERE table_schema = current_schema() AND column_name = 'tenant' AND table_name <> 'tenants'
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', relation);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', relation);
        EXECUTE format('CREATE POLICY tenant_wall ON %I USING (tenant = ANY '
                       '(string_to_array(current_setting(''cadre.tenants'', true), '','')))', relation);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'cadre_app') THEN
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO cadre_app;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO cadre_app;
    END IF;
END
$$;
